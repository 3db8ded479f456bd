import {
  abs,
  add,
  concat,
  defineModel,
  div,
  exp,
  linear,
  log,
  max,
  mean,
  mul,
  param,
  relu,
  reshape,
  slice,
  softplus,
  sqrt,
  square,
  sub,
  sum,
  tanh,
  unit,
} from 'ebb';

/** Pairs of a batch ranked (Burges et al. 2005), row maxima, a vector of two units, a unit over a scalar; static sizes, four and not. */
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: [6, 12] }, order: { dtype: 'f32', shape: [6, 6] } },
  build: ({ x, order }) => {
    const halves = [slice(x, 1, 0, 4), slice(x, 1, 4, 8)] as const;
    let h = concat([linear('a', halves[0], { inputs: 4, outputs: 3 }), linear('b', halves[1], { inputs: 8, outputs: 5, bias: true })], 1);
    const w = param('w', [8]);
    h = unit('one', h, (y) => relu(mul(y, w)));
    const peak = max(h, [1]);
    h = unit('two', h, (y) => mul(tanh(mul(y, param('w', [8], { tied: true }))), peak));
    const flat = reshape(h, [12, 4]);
    const norm = sqrt(mean(square(flat)));
    h = unit('three', h, (y) => div(linear('three', y, { inputs: 8, outputs: 8 }), norm));
    let s = reshape(mean(h), []);
    s = unit('scalar', s, (y) => mul(tanh(mul(y, param('p', []))), norm));
    const scores = linear('score', h, { inputs: 8, outputs: 1 });
    const differences = sub(scores, reshape(scores, [1, 6]));
    const ranking = mean(softplus(mul(differences, mul(order, -1))));
    const lse = log(sum(exp(scores), [0, 1]));
    return [add(add(ranking, mul(reshape(lse, []), s)), mul(mean(abs(scores)), norm)), ranking, s, norm];
  },
});

import {
  add,
  crossEntropy,
  defineModel,
  div,
  embedding,
  exp,
  linear,
  log,
  maximum,
  mean,
  mul,
  param,
  pow,
  reshape,
  slice,
  softmax,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  unit,
} from 'ebb';

const unitLength = (x: Tensor): Tensor => div(x, sqrt(add(sum(square(x), [1]), 1e-6)));

/** One encoder, tied over three inputs, with a triplet loss that scales a focal one (Lin et al. 2017), label smoothing, and results in other shapes. */
export const model = defineModel({
  inputs: {
    anchor: { dtype: 'f32', shape: [8, 6] },
    near: { dtype: 'f32', shape: [8, 6] },
    far: { dtype: 'f32', shape: [8, 6] },
    label: { dtype: 'i32', shape: [8] },
  },
  build: ({ anchor, near, far, label }) => {
    const tied = { first: true };
    const encode = (name: string, x: Tensor): Tensor => {
      const isFirst = tied.first;
      tied.first = false;
      const w = (n: string, shape: readonly number[]): Tensor => param(n, shape, { tied: !isFirst });
      const h = add(mul(x, w('gain', [6])), w('shift', [6]));
      return unitLength(unit(name, h, (y) => mul(tanh(add(mul(y, w('mix', [6])), w('bias', [6]))), w('strength', []))));
    };
    const [a, p, n] = [encode('a', anchor), encode('p', near), encode('n', far)];
    const margin = param('margin', [1]);
    const triplet = mean(maximum(add(sub(sum(square(sub(a, p)), [1]), sum(square(sub(a, n)), [1])), margin), 0));
    const logits = linear('classes', a, { inputs: 6, outputs: 4, bias: true });
    const probabilities = softmax(logits);
    const hard = sum(mul(probabilities, embedding(param('onehot', [4, 4]), label)), [1]);
    const focal = mean(mul(pow(add(mul(hard, -1), 1), 2), mul(log(add(square(hard), 0.01)), -1)));
    const smooth = mean(mul(log(add(probabilities, 1e-6)), -0.25));
    return [
      add(add(triplet, mul(focal, exp(mul(triplet, -0.5)))), add(mul(smooth, 0.1), mul(crossEntropy(logits, label), 0.5))),
      triplet,
      hard,
      reshape(slice(a, 1, 2, 4), [4, 8]),
    ];
  },
});

import {
  add,
  crossEntropy,
  defineModel,
  embedding,
  gelu,
  less,
  linear,
  matmul,
  mean,
  meanOver,
  mul,
  param,
  reshape,
  rmsNorm,
  select,
  softmax,
  square,
  sum,
  type Tensor,
  tanh,
  transpose,
  unit,
} from 'ebb';

/** Two experts by comparison, a carry that every unit hands to the next, a table that is computed before it is looked up, with a padding row. */
export const model = defineModel({
  inputs: { ids: { dtype: 'i32', shape: ['B', 4] }, next: { dtype: 'i32', shape: ['B', 4] }, kind: { dtype: 'i32', shape: ['B'] } },
  dims: { B: 3 },
  build: ({ ids, next, kind }) => {
    const base = param('base', [9, 4]);
    const table = tanh(matmul(base, param('widen', [4, 8])));
    let x = add(embedding(table, ids, { padding: 3 }), reshape(embedding(param('kinds', [5, 8]), kind), ['B', 1, 8]));
    let carry: Tensor = mean(square(x));
    const entropies: Tensor[] = [];
    for (let i = 0; i < 3; i++) {
      let handed: Tensor | undefined;
      const before = carry;
      x = unit(`moe.${i}`, x, (y) => {
        const z = rmsNorm(y, param(`moe.${i}.n`, [8]), 1e-6);
        const scores = softmax(linear(`moe.${i}.r`, z, { inputs: 8, outputs: 2 }));
        const left = sum(mul(scores, param(`moe.${i}.pick`, [2])), [2]);
        const a = gelu(linear(`moe.${i}.a`, z, { inputs: 8, outputs: 8 }));
        const b = linear(`moe.${i}.b`, z, { inputs: 8, outputs: 8, bias: true });
        entropies.push(mean(square(meanOver(scores, [0, 1]))));
        handed = add(mul(before, 0.5), mean(left));
        return mul(select(less(left, before), a, b), left);
      });
      carry = handed!;
    }
    const seen = transpose(x, [0, 2, 1]);
    const balance = entropies.reduce((s, e) => add(s, e));
    return add(add(crossEntropy(matmul(x, table, true), next), mul(balance, carry)), mul(mean(square(meanOver(seen, [2]))), 0.3));
  },
});

import { crossEntropy, defineModel, exp, iota, linear, matmul, mul, param, rsqrt, section, square, sum, type Tensor, tanh, unit } from 'ebb';

const normalised = (x: Tensor): Tensor => mul(x, rsqrt(sum(square(x), [1])));

/** Contrastive learning with a learned temperature (Radford et al. 2021): pairs of a batch of 4 find each other. */
export const model = defineModel({
  inputs: { left: { dtype: 'f32', shape: [4, 6] }, right: { dtype: 'f32', shape: [4, 5] } },
  build: ({ left, right }) => {
    const scale = section('temperature', () => exp(param('temperature', [])));
    const a = unit('left.0', linear('left.in', left, { inputs: 6, outputs: 6 }), (y) => tanh(linear('left.0.w', y, { inputs: 6, outputs: 6 })));
    const b = unit('right.0', linear('right.in', right, { inputs: 5, outputs: 6 }), (y) => mul(tanh(linear('right.0.w', y, { inputs: 6, outputs: 6 })), scale));
    const logits = mul(matmul(normalised(a), normalised(b), true), scale);
    return crossEntropy(logits, iota([4], 0));
  },
});

import { add, crossEntropy, defineModel, embedding, exp, linear, mean, mul, neg, param, relu, section, sqrt, square, sub, unit } from 'ebb';

/** Two losses weighed by learned log-variances s: Σ e⁻ˢ·loss + s (Kendall et al. 2018); the second is a root mean square. */
export const model = defineModel({
  inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] }, value: { dtype: 'f32', shape: ['B', 'T', 1] } },
  dims: { B: 2, T: 4 },
  build: ({ tokens, targets, value }) => {
    const s = [param('s.0', []), param('s.1', [])] as const;
    let x = embedding(param('embed', [9, 6]), tokens);
    for (let i = 0; i < 2; i++)
      x = unit(`layers.${i}`, x, (y) => linear(`layers.${i}.down`, relu(linear(`layers.${i}.up`, y, { inputs: 6, outputs: 8 })), { inputs: 8, outputs: 6 }));
    const words = section('words', () => crossEntropy(linear('words', x, { inputs: 6, outputs: 9 }), targets));
    const rmse = section('values', () => sqrt(mean(square(sub(linear('values', x, { inputs: 6, outputs: 1, bias: true }), value)))));
    return add(add(mul(exp(neg(s[0])), words), s[0]), add(mul(exp(neg(s[1])), rmse), s[1]));
  },
});

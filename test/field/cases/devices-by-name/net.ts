import { crossEntropy, defineModel, embedding, linear, param, tanh, unit } from 'ebb';

export const model = defineModel({
  inputs: { words: { dtype: 'i32', shape: ['B', 'T'] }, wanted: { dtype: 'i32', shape: ['B', 'T'] } },
  dims: { B: 2, T: 4 },
  build: ({ words, wanted }) => {
    let x = embedding(param('embed', [12, 8]), words);
    for (let i = 0; i < 2; i++) x = unit(`layers.${i}`, x, (y) => tanh(linear(`layers.${i}.w`, y, { inputs: 8, outputs: 8 })));
    return crossEntropy(linear('head', x, { inputs: 8, outputs: 9 }), wanted);
  },
});

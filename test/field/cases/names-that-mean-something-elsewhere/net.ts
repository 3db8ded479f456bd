import { defineModel, mean, mul, param, relu, unit } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 4] } },
  dims: { B: 2 },
  build: ({ x }) => {
    let y = mul(x, 2);
    y = unit('main', y, (h) => relu(mul(h, param('__proto__', [4]))));
    y = unit('layers.main', y, (h) => relu(mul(h, param('constructor', [4]))));
    y = unit('main.0', y, (h) => relu(mul(h, param('valueOf', [4]))));
    y = unit('trunk.0', y, (h) => relu(mul(h, param('hasOwnProperty', [4]))));
    return mean(mul(y, y));
  },
});

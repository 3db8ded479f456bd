import { add, defineModel, linear, maximum, mean, mul, param, relu, square, stopGradient, sub, tanh, unit } from 'ebb';

/** What is compared with itself, detached (Grill et al. 2020); the stream starts as a parameter; zeros that relu and maximum tie at. */
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 5] } },
  dims: { B: 3 },
  build: ({ x }) => {
    const query = unit('query', param('query', [5]), (y) => tanh(mul(y, param('query.w', [5]))));
    const h = mul(linear('in', x, { inputs: 5, outputs: 5 }), query);
    const target = stopGradient(unit('target', h, (y) => linear('target.w', y, { inputs: 5, outputs: 5 })));
    const online = unit('online', h, (y) => relu(linear('online.w', y, { inputs: 5, outputs: 5, bias: true })));
    const rest = maximum(relu(mul(x, param('zero', [5]))), mul(x, param('zero.too', [5])));
    return add(mean(square(sub(online, target))), mean(add(rest, stopGradient(mul(h, 0.1)))));
  },
});

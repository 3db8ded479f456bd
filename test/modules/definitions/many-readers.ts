import { add, defineModel, linear, mean, mseLoss, mul, reshape, sigmoid, square, tanh, unit } from 'ebb';

/** A memory that every unit and the head read, in two shapes; a gate made of it crosses as a scalar. */
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 2, 4] }, target: { dtype: 'f32', shape: ['B', 8] } },
  dims: { B: 3 },
  build: ({ x, target }) => {
    const memory = tanh(linear('memory', x, { inputs: 4, outputs: 4 }));
    const flat = reshape(memory, ['B', 8]);
    const gate = sigmoid(mean(memory));
    let y = linear('in', flat, { inputs: 8, outputs: 8 });
    for (let i = 0; i < 3; i++)
      y = unit(`layers.${i}`, y, (z) => tanh(linear(`layers.${i}.w`, i === 1 ? mul(z, gate) : add(z, flat), { inputs: 8, outputs: 8 })));
    return add(mseLoss(mul(y, flat), target), mul(mean(square(memory)), 0.1));
  },
});

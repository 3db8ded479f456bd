import {
  abs,
  add,
  concat,
  conv2d,
  defineModel,
  groupNorm,
  linear,
  mean,
  minimum,
  mul,
  param,
  section,
  silu,
  spaceToDepth,
  square,
  sub,
  type Tensor,
  tanh,
  unit,
  upsample,
} from 'ebb';

const block = (name: string, x: Tensor, c: number, extra: Tensor): Tensor =>
  unit(name, x, (y) => mul(conv2d(`${name}.c`, silu(groupNorm(`${name}.n`, y, 2)), { inputs: c, outputs: c }), extra));

/** A U-Net whose skips, energy and level reach units as scalars and tensors; a Huber loss by minimum. */
export const model = defineModel({
  inputs: { image: { dtype: 'f32', shape: ['B', 4, 4, 2] }, wanted: { dtype: 'f32', shape: ['B', 4, 4, 2] } },
  dims: { B: 3 },
  build: ({ image, wanted }) => {
    const fine = section('enter', () => conv2d('enter', image, { inputs: 2, outputs: 4 }));
    const energy = mean(square(fine));
    const left = block('left', fine, 4, energy);
    const low = linear('down', spaceToDepth(left), { inputs: 16, outputs: 6, bias: true });
    const level = tanh(mean(low));
    const middle = block('middle', low, 6, level);
    const up = linear('up', concat([upsample(middle), left, mul(fine, level)], 3), { inputs: 14, outputs: 4 });
    const out = block('out', up, 4, mul(energy, param('s', [])));
    const made = conv2d('made', out, { inputs: 4, outputs: 2, kernel: 1 });
    const error = sub(made, wanted);
    const huber = mean(sub(mul(minimum(abs(error), 1), abs(error)), mul(square(minimum(abs(error), 1)), 0.5)));
    return add(add(huber, mul(mean(square(sub(conv2d('aux', left, { inputs: 4, outputs: 2, kernel: 1 }), wanted))), level)), mul(energy, 0.01));
  },
});

/** @file Tensors of the reference evaluator. They hold numbers of every dtype in f64, which represents all of them exactly. */

import { at } from '../errors.ts';
import type { DType } from './types.ts';

export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Makes a tensor of `values`, or of zeros if there are none. @throws Error if there are fewer values than elements */
export function tensor(dtype: DType, shape: readonly number[], values?: ArrayLike<number>): Tensor {
  const data = new Float64Array(size(shape));
  if (values) for (let i = 0; i < data.length; i++) data[i] = at(values, i);
  return { dtype, shape, data };
}

export function strides(shape: readonly number[]): number[] {
  const out = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) out[i] = at(out, i + 1) * at(shape, i + 1);
  return out;
}

/** Makes a tensor whose element at a multi-index is `valueAt(index)`. The array `index` is reused between calls. */
export function generate(dtype: DType, shape: readonly number[], valueAt: (index: readonly number[]) => number): Tensor {
  const out = tensor(dtype, shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = valueAt(index);
    for (let d = shape.length - 1; d >= 0; d--) {
      const next = at(index, d) + 1;
      index[d] = next === shape[d] ? 0 : next;
      if (next !== shape[d]) break;
    }
  }
  return out;
}

/** The element of `t` at an index of a shape that `t` broadcasts to by numpy's rule: axes align at the last one, and axes of size 1 repeat. */
export function broadcastAt(t: Tensor, index: readonly number[]): number {
  const skip = index.length - t.shape.length;
  let offset = 0;
  for (let d = 0; d < t.shape.length; d++) {
    const extent = at(t.shape, d);
    offset = offset * extent + (extent === 1 ? 0 : at(index, d + skip));
  }
  return at(t.data, offset);
}

/** A tensor of pseudo-random numbers for samples and tests: uniform in [-scale, scale), and the same for the same seed. */
export function randomTensor(dtype: DType, shape: readonly number[], seed: number, scale = 1): Tensor {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return generate(dtype, shape, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state / 2 ** 32) * 2 - 1) * scale;
  });
}

/** @file Tensors of the reference evaluator: every dtype's numbers held exactly in f64. */

import type { DType } from './types.ts';

export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

export function tensor(dtype: DType, shape: readonly number[], values?: ArrayLike<number>): Tensor {
  const data = new Float64Array(size(shape));
  if (values) for (let i = 0; i < data.length; i++) data[i] = values[i] ?? 0;
  return { dtype, shape, data };
}

export function strides(shape: readonly number[]): number[] {
  const out = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) out[i] = (out[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return out;
}

/** A tensor whose element at a multi-index is `at(index)`; `index` is reused between calls. */
export function generate(dtype: DType, shape: readonly number[], at: (index: readonly number[]) => number): Tensor {
  const out = tensor(dtype, shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < out.data.length; i++) {
    out.data[i] = at(index);
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d] = (index[d] ?? 0) + 1;
      if ((index[d] ?? 0) < (shape[d] ?? 0)) break;
      index[d] = 0;
    }
  }
  return out;
}

/** Element of `t` at `index`, aligned at the last axis as numpy broadcasts: size-1 axes repeat. */
export function broadcastAt(t: Tensor, index: readonly number[]): number {
  const skip = index.length - t.shape.length;
  let offset = 0;
  for (let d = 0; d < t.shape.length; d++) {
    const extent = t.shape[d] ?? 1;
    offset = offset * extent + (extent === 1 ? 0 : (index[d + skip] ?? 0));
  }
  return t.data[offset] ?? 0;
}

/** Deterministic numbers for samples and tests: uniform in [-scale, scale). */
export function randomTensor(dtype: DType, shape: readonly number[], seed: number, scale = 1): Tensor {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return generate(dtype, shape, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state / 2 ** 32) * 2 - 1) * scale;
  });
}

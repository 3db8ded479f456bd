/** @file Splits a parameter into parts, each of neighbouring rows, of which functions take one at a time. */

import { EbbError } from '../errors.ts';
import { byteSize } from '../ir/types.ts';
import { activeTrace, type ParamOptions, recordOne, storedParam, widened } from './context.ts';
import type { Tensor } from './nn.ts';

/** In bytes: a part of a tensor may start in its buffer at multiples of this (WebGPU's minStorageBufferOffsetAlignment). */
const ALIGNMENT = 256;

/** The rows of one part of a parameter. `read` is called inside the section that uses them, and widens a stored dtype there. */
export interface ParamPart {
  readonly start: number;
  readonly rows: number;
  readonly read: () => Tensor;
}

/**
 * Declares a parameter of `shape` [rows, width] that is used in parts of at most `most` rows, rounded up to the alignment. All but the last are
 * equally large. The section that reads a part takes only that part, and its gradient is written to the part's place in the whole gradient.
 * @throws TraceError as `param` does
 */
export function paramParts(name: string, shape: readonly [number, number], most: number, options: ParamOptions = {}): readonly ParamPart[] {
  const stored = storedParam(name, shape, options);
  const [rows, width] = shape;
  const unit = ALIGNMENT / greatestCommonDivisor(byteSize({ dtype: stored.type.dtype, shape: [1, width] }, {}), ALIGNMENT);
  const wanted = Math.ceil(rows / Math.max(most, unit));
  const size = Math.ceil(rows / wanted / unit) * unit;
  return Array.from({ length: Math.ceil(rows / size) }, (_, i): ParamPart => {
    const part = { start: i * size, rows: Math.min(size, rows - i * size) };
    const slice = recordOne('slice', [stored], { axis: 0, start: part.start, size: part.rows }, `${name}.${i}`);
    activeTrace().parts.add(slice);
    return { ...part, read: () => widened(slice, name) };
  });
}

function greatestCommonDivisor(a: number, b: number): number {
  if (!Number.isInteger(a)) throw new EbbError(`a row takes ${a} bytes, expected whole bytes`);
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** @file What a step is given, checked where it enters: numbers of elements, sizes within their bounds, ids that there are. */

import { EbbError } from '../errors.ts';
import { extentShape, type IdRange, type InputDecl, type Program, type Sizes } from './program.ts';

/** Index of the first element that is no id of the range, or -1. */
export function idOutside(data: ArrayLike<number>, { least, below }: IdRange): number {
  const from = least ?? Number.NEGATIVE_INFINITY;
  for (let i = 0; i < data.length; i++) {
    const id = data[i] as number;
    if (id < from || id >= below) return i;
  }
  return -1;
}

/** Index of the first element that is NaN or infinite, or -1. */
export function notFinite(data: ArrayLike<number>): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

/** `25 at [0, 3]`: an element by its place. @param at index into `data`, an array of `shape` from its element `before` on */
export function elementText(data: ArrayLike<number>, at: number, shape: readonly number[], before = 0): string {
  const index = shape.map((size, axis) => Math.floor((before + at) / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % size);
  return `${data[at]} at [${index.join(', ')}]`;
}

/** `holds 25 at [0, 3], and table embed has rows 0 to 19`. @param at index into `data`, an array of `shape` */
export function outsideText(data: ArrayLike<number>, at: number, shape: readonly number[], { least, below, of }: IdRange): string {
  return `holds ${elementText(data, at, shape)}, and ${of} 0 to ${below - 1}${least === null ? ' (a negative target has no loss)' : ''}`;
}

/** @throws EbbError for an input that is missing, has another size than it is read with, or holds an id that there is not */
export function checkInputs({ inputs, dims }: Pick<Program, 'inputs' | 'dims'>, sizes: Sizes, given: InputData): void {
  for (const { name, bound } of dims) {
    const size = sizes[name];
    if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= bound))
      throw new EbbError(`dimension ${name} of the batch is ${size}, the model was compiled for 1 to ${bound}; make the batch smaller, or compile for more`);
  }
  for (const { name, extent, ids } of inputs) {
    const data = Object.hasOwn(given, name) ? given[name] : undefined;
    if (!data) throw new EbbError(`input ${name} is missing from the batch`);
    const shape = extentShape(extent, sizes);
    const count = shape.reduce((a, b) => a * b, 1);
    if (data.length !== count) throw new EbbError(`input ${name} has ${data.length} elements, expected ${count} of shape [${shape.join(', ')}]`);
    const at = ids ? idOutside(data, ids) : -1;
    if (ids && at >= 0) throw new EbbError(`input ${name} ${outsideText(data, at, shape, ids)}; use the ids that the model was made for`);
  }
}

/** The narrowest range of ids among the inputs that take them; null where none does. */
export function narrowest(inputs: readonly InputDecl[]): IdRange | null {
  return inputs.flatMap((i) => i.ids ?? []).reduce<IdRange | null>((least, r) => (least && least.below <= r.below ? least : r), null);
}

export type InputData = Readonly<Record<string, Int32Array | Uint32Array | Float32Array>>;

/** @file What the interpreter of a kernel knows: its data, and where a lane keeps each name. */

import { invariant } from '../../../errors.ts';
import { type FragmentType, isVector, type Kernel, type KType, widthOf } from '../ir.ts';
import { fragmentTypes } from '../visit.ts';
import type { LaneValue } from './arithmetic.ts';
import type { Lane } from './lane.ts';

export type Data = Float32Array | Uint32Array | Int32Array;
export type Evaluate = (lane: Lane) => LaneValue;

export interface Context {
  /** The kernel's name, for errors. */
  readonly name: string;
  readonly params: Uint32Array;
  /** Where a lane keeps a variable. */
  readonly slot: (name: string) => number;
  /** The array of a name, a lane's own or the workgroup's. */
  readonly arrayOf: (name: string) => (lane: Lane) => LaneValue[];
  /** The data of a buffer, and how many numbers an element has. */
  readonly bufferOf: (name: string) => { readonly data: Data; readonly width: number };
  readonly fragmentOf: (name: string) => FragmentType;
  /** Workgroup memory full of zeros. */
  readonly newShared: () => LaneValue[][];
}

export const zeroOf = (type: KType): LaneValue => (isVector(type) ? Array<number>(widthOf(type)).fill(0) : 0);

/** The index; throws where it is out of bounds. */
export function checked({ name }: Context, of: string, index: number, length: number): number {
  invariant(index >= 0 && index < length, `${name}: index ${index} of ${of}, which has ${length} elements`);
  return index;
}

export function interpreterContext(kernel: Kernel, params: Uint32Array, buffers: Readonly<Record<string, Data>>): Context {
  const { name } = kernel;
  const slots = new Map<string, number>();
  const slot = (variable: string): number => {
    const known = slots.get(variable) ?? slots.size;
    slots.set(variable, known);
    return known;
  };
  const shared = new Map(kernel.shared.map((array, index) => [array.name, index]));
  const elements = new Map(kernel.buffers.map((buffer) => [buffer.name, buffer.element]));
  const fragments = fragmentTypes(kernel.body);
  return {
    name,
    params,
    slot,
    arrayOf(array) {
      const index = shared.get(array);
      if (index !== undefined) return (lane) => lane.shared[index] as LaneValue[];
      const own = slot(array);
      return (lane) => lane.arrays[own] as LaneValue[];
    },
    bufferOf(buffer) {
      const [data, type] = [buffers[buffer], elements.get(buffer)];
      invariant(data !== undefined && type !== undefined, `${name}: unknown buffer ${buffer}`);
      return { data, width: widthOf(type) };
    },
    fragmentOf(fragment) {
      const type = fragments.get(fragment);
      invariant(type !== undefined, `${name}: ${fragment} is no fragment`);
      return type;
    },
    newShared: () => kernel.shared.map(({ type, length }) => Array.from({ length }, () => zeroOf(type))),
  };
}

/** @file Encodes calls of functions: their parameter blocks, their dispatches. What it fills is filled anew: encoding makes no garbage to speak of. */

import { at, invariant } from '../errors.ts';
import { BLOCK_BYTES, type Device, type DeviceBuffer, type Recording } from './device.ts';
import type { Launches, Prepared } from './launches.ts';
import type { Address } from './link/address.ts';
import type { DispatchDecl, Program, Sizes } from './program.ts';
import type { StepCall } from './stepCall.ts';

/** Told of every dispatch that is recorded, in order. */
export type OnDispatch = (dispatch: DispatchDecl, call: StepCall) => void;

export interface Encoder {
  /** Sends the parameter blocks of `calls` to the device, one for each call. */
  fill(calls: readonly StepCall[]): void;
  /** Records the dispatches of calls [from, to), whose blocks were filled. Returns how many they are. */
  encode(recording: Recording, calls: readonly StepCall[], from: number, to: number, onDispatch?: OnDispatch): number;
  /** Records one dispatch of a call, by its index among those of its function; the call's block is the first of those that were filled. */
  encodeOne(recording: Recording, call: StepCall, dispatch: number): void;
}

type Grid = readonly [x: number, y: number, z: number];

/** Words of a parameter block. */
const WORDS = BLOCK_BYTES / 4;

/**
 * The address of part of a slot. Every dispatch asks for several: the check is here rather than in at(), which lists of every kind go through
 * and which is slower for it.
 */
function partAddress(slots: readonly Address[], slot: number | undefined, skipped: number | undefined): Address {
  const place = slot === undefined ? undefined : slots[slot];
  invariant(place !== undefined && skipped !== undefined, 'a dispatch binds a slot that its call does not give');
  return place + skipped;
}

/** Workgroups of a dispatch; an x beyond the device's limit goes on in y. */
export function gridOf([x, y, z]: DispatchDecl['grid'], sizeOf: (dim: string) => number, limit: number): Grid {
  const count = ({ of, per }: DispatchDecl['grid'][number]): number =>
    Math.ceil(of.reduce<number>((p, d) => p * (typeof d === 'number' ? d : sizeOf(d)), 1) / per);
  const along = count(x);
  if (along <= limit) return [along, count(y), count(z)];
  const rows = Math.ceil(along / limit);
  return [Math.ceil(along / rows), rows, count(z)];
}

/** An encoder of a program's calls. @param blocks the buffer of their parameter blocks */
export function createEncoder(device: Device, program: Program, bounds: Sizes, launches: Launches, blocks: DeviceBuffer): Encoder {
  const words = new Uint32Array(blocks.bytes / 4);
  const floats = new Float32Array(words.buffer);
  const ints = new Int32Array(words.buffer);
  const most = blocks.bytes / BLOCK_BYTES;

  const write = (block: number, { fn, sizes, scalar }: StepCall): void => {
    const first = block * WORDS;
    for (let i = 0; i < program.dims.length; i++) {
      const { name, bound } = at(program.dims, i);
      words[first + i] = sizes[name] ?? bound;
    }
    for (const s of at(program.functions, fn).scalars) {
      const value = scalar(s.name);
      if (s.dtype === 'f32') floats[first + s.word] = value;
      else if (s.dtype === 'i32') ints[first + s.word] = value;
      else words[first + s.word] = value >>> 0;
    }
  };

  const limit = device.profile.limits.maxComputeWorkgroupsPerDimension;
  /** Workgroups of dispatches, kept for as long as calls come with the same sizes. */
  const lastGrids = new Map<Prepared, { sizes: Sizes; grid: Grid }>();
  const workgroups = (prepared: Prepared, sizes: Sizes): Grid => {
    const last = lastGrids.get(prepared);
    if (last?.sizes === sizes) return last.grid;
    const sizeOf = (dim: string): number => {
      const size = sizes[dim] ?? bounds[dim];
      invariant(size !== undefined, `the program has no dimension ${dim}`);
      return size;
    };
    const grid = gridOf(prepared.decl.grid, sizeOf, limit);
    lastGrids.set(prepared, { sizes, grid });
    return grid;
  };

  const addresses: Address[] = [];
  /** Whether there was anything to record. */
  const encodeDispatch = (recording: Recording, block: number, { fn, slots, sizes, exact }: StepCall, prepared: Prepared): boolean => {
    const { decl, skipped } = prepared;
    const [x, y, z] = workgroups(prepared, sizes);
    if (x * y * z === 0) return false;
    for (let i = 0; i < decl.slots.length; i++) addresses[i] = partAddress(slots, decl.slots[i], skipped[i]);
    recording.dispatch(exact ? launches.exactly(fn, prepared, sizes) : prepared.launch, block, addresses, x, y, z);
    return true;
  };
  const encodeCall = (recording: Recording, block: number, call: StepCall, onDispatch: OnDispatch | undefined): number => {
    let dispatches = 0;
    for (const prepared of launches.prepared(call.fn, call.adds)) {
      if (!encodeDispatch(recording, block, call, prepared)) continue;
      onDispatch?.(prepared.decl, call);
      dispatches++;
    }
    return dispatches;
  };

  return {
    fill(calls) {
      invariant(calls.length <= most, `${calls.length} calls, and parameter blocks for ${most}`);
      for (let block = 0; block < calls.length; block++) write(block, at(calls, block));
      device.write(blocks, 0, words.subarray(0, calls.length * WORDS));
    },
    encode(recording, calls, from, to, onDispatch) {
      let dispatches = 0;
      for (let block = from; block < to; block++) dispatches += encodeCall(recording, block, at(calls, block), onDispatch);
      return dispatches;
    },
    encodeOne(recording, call, dispatch) {
      encodeDispatch(recording, 0, call, at(launches.prepared(call.fn, call.adds), dispatch));
    },
  };
}

/** @file What dispatches of a program launch, looked up once: pipelines, and the bytes of what they are given. */

import { at, invariant } from '../errors.ts';
import type { Device, Launch, Memory, Pipeline } from './device.ts';
import { slotBytes } from './link/layout.ts';
import { type DispatchDecl, extentBytes, type FunctionDecl, type Program, type Sizes } from './program.ts';

/** Launches by the bytes of each range. */
interface LaunchTree {
  readonly next: Map<number, LaunchTree>;
  launch?: Launch;
}

/** A dispatch of a function with everything that is the same in all its calls. */
export interface Prepared {
  readonly decl: DispatchDecl;
  readonly pipeline: Pipeline;
  /** For each range, the bytes of its slot that lie before the part that it is. */
  readonly skipped: readonly number[];
  /** The launch whose ranges have the bytes that the slots take at the bounds. */
  readonly launch: Launch;
  /** The launches whose ranges have the bytes that the slots take at other sizes. */
  readonly exact: LaunchTree;
}

export interface Launches {
  /** The dispatches of a function, whose gradients are written or added to. */
  prepared(fn: number, adds: boolean): readonly Prepared[];
  /** A dispatch of a call that takes `sizes` instead of the bounds. */
  exactly(fn: number, prepared: Prepared, sizes: Sizes): Launch;
}

/** Returns the branch that `key` leads to, and makes it where there is none. */
function branch(tree: LaunchTree, key: number): LaunchTree {
  const known = tree.next.get(key);
  if (known) return known;
  const made: LaunchTree = { next: new Map() };
  tree.next.set(key, made);
  return made;
}

/** Ranges of exact calls are whole rows of four f32. */
const ROW_BYTES = 16;

/** The launches of a program over its buffers. @param pipelines by their index in the program; those that were not needed are null */
export function createLaunches(device: Device, program: Program, bounds: Sizes, pipelines: readonly (Pipeline | null)[], memory: Memory): Launches {
  const cut = (bytes: number, skipped: number): number => Math.min(bytes - skipped, program.partBytes);
  const prepare = (fn: FunctionDecl, decl: DispatchDecl, adds: boolean): Prepared => {
    const index = adds ? (decl.adding ?? decl.pipeline) : decl.pipeline;
    const pipeline = at(pipelines, index);
    invariant(pipeline, `pipeline ${at(program.pipelines, index).name} was not made`);
    const skipped = decl.slots.map((_, i) => (decl.parts === undefined ? 0 : at(decl.parts, i) * program.partBytes));
    const bytes = decl.slots.map((s, i) => cut(slotBytes(fn, s, bounds), at(skipped, i)));
    return { decl, pipeline, skipped, launch: device.launch(pipeline, memory, bytes), exact: { next: new Map() } };
  };
  const functions = new Map<number, readonly Prepared[]>();

  return {
    prepared(fn, adds) {
      const key = 2 * fn + Number(adds);
      const known = functions.get(key);
      if (known) return known;
      const decl = at(program.functions, fn);
      const made = decl.dispatches.map((d) => prepare(decl, d, adds));
      functions.set(key, made);
      return made;
    },
    exactly(fn, { decl, pipeline, skipped, exact }, sizes) {
      const { slots } = at(program.functions, fn);
      const whole = (slot: number): number => Math.max(ROW_BYTES, Math.ceil(extentBytes(at(slots, slot).extent, sizes) / ROW_BYTES) * ROW_BYTES);
      const bytes = decl.slots.map((s, i) => cut(whole(s), at(skipped, i)));
      const leaf = bytes.reduce(branch, exact);
      leaf.launch ??= device.launch(pipeline, memory, bytes);
      return leaf.launch;
    },
  };
}

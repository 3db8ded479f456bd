/** @file What dispatches bind, looked up once: pipelines, sizes of bindings, and bind groups, each made when it is first asked for. */

import { BLOCK } from '../bufferBytes.ts';
import type { DeviceBuffers } from '../buffers.ts';
import { type Address, bufferOf, offsetOf } from '../link/address.ts';
import { slotBytes } from '../link/layout.ts';
import { type DispatchDecl, extentBytes, type FunctionDecl, type Program, type Sizes } from '../program.ts';
import type { Pipeline } from './pipelines.ts';

/** Bind groups by the numbers that say what they bind. */
interface GroupTree {
  readonly next: Map<number, GroupTree>;
  group?: GPUBindGroup;
}

/** A dispatch of a function with everything that is the same in all its calls. */
export interface Prepared {
  readonly decl: DispatchDecl;
  readonly pipeline: Pipeline;
  /** For each binding: bytes of its slot that come before its part. */
  readonly skipped: readonly number[];
  /** For each binding: bytes bound at the bounds. */
  readonly bytes: readonly number[];
  readonly groups: GroupTree;
}

export interface Binder {
  /** The dispatches of a function, whose gradients are written or added to. */
  prepared(fn: number, adds: boolean): readonly Prepared[];
  /** Bytes of each binding where a call takes `sizes` instead of the bounds. */
  bytesAt(fn: number, prepared: Prepared, sizes: Sizes): readonly number[];
  /** The group that binds these addresses, for each binding one. */
  group(prepared: Prepared, addresses: readonly Address[], bytes: readonly number[]): GPUBindGroup;
}

/** Dynamic bindings are told apart by their buffers' ids, this many to a digit. */
const IDS = 4096;

/** Where `key` leads. */
function branch(tree: GroupTree, key: number): GroupTree {
  const known = tree.next.get(key);
  if (known) return known;
  const made: GroupTree = { next: new Map() };
  tree.next.set(key, made);
  return made;
}

export function createBinder(device: GPUDevice, program: Program, bounds: Sizes, pipelines: readonly (Pipeline | null)[], buffers: DeviceBuffers): Binder {
  const { table, uniforms } = buffers;
  const cut = (bytes: number, skipped: number): number => Math.min(bytes - skipped, program.partBytes);
  const prepare = (fn: FunctionDecl, decl: DispatchDecl, adds: boolean): Prepared => {
    const index = adds ? (decl.adding ?? decl.pipeline) : decl.pipeline;
    const pipeline = pipelines[index];
    if (!pipeline) throw new Error(`internal: pipeline ${program.pipelines[index]?.name} was not made`);
    const skipped = decl.slots.map((_, i) => (decl.parts?.[i] ?? 0) * program.partBytes);
    return { decl, pipeline, skipped, bytes: decl.slots.map((s, i) => cut(slotBytes(fn, s, bounds), skipped[i] ?? 0)), groups: { next: new Map() } };
  };
  const functions = new Map<number, readonly Prepared[]>();

  const makeGroup = ({ pipeline }: Prepared, addresses: readonly Address[], bytes: readonly number[]): GPUBindGroup =>
    device.createBindGroup({
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: 0, size: BLOCK } },
        ...bytes.map((size, i): GPUBindGroupEntry => {
          const at = addresses[i] ?? -1;
          return { binding: i + 1, resource: { buffer: table[bufferOf(at)] as GPUBuffer, offset: pipeline.dynamic[i] ? 0 : offsetOf(at), size } };
        }),
      ],
    });

  return {
    prepared(fn, adds) {
      const key = 2 * fn + Number(adds);
      const known = functions.get(key);
      if (known) return known;
      const decl = program.functions[fn] as FunctionDecl;
      const made = decl.dispatches.map((d) => prepare(decl, d, adds));
      functions.set(key, made);
      return made;
    },
    bytesAt(fn, { decl, skipped }, sizes) {
      const { slots } = program.functions[fn] as FunctionDecl;
      const whole = (slot: number): number => Math.max(16, Math.ceil(extentBytes(slots[slot]?.extent ?? { of: [], bytes: 4 }, sizes) / 16) * 16);
      return decl.slots.map((s, i) => cut(whole(s), skipped[i] ?? 0));
    },
    group(prepared, addresses, bytes) {
      const { dynamic } = prepared.pipeline;
      const exact = bytes !== prepared.bytes;
      let at = prepared.groups;
      let ids = 1;
      for (let i = 0; i < bytes.length; i++) {
        const address = addresses[i] ?? -1;
        if (!dynamic[i]) at = branch(at, address);
        else if (ids < IDS ** 3) ids = ids * IDS + bufferOf(address);
        else {
          at = branch(at, ids);
          ids = IDS + bufferOf(address);
        }
        if (exact) at = branch(at, bytes[i] ?? 0);
      }
      at = branch(at, ids);
      at.group ??= makeGroup(prepared, addresses, bytes);
      return at.group;
    },
  };
}

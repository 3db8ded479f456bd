/** @file Encodes calls of functions: their uniform blocks, bind groups made once, dispatches. */

import { type Address, bufferOf, offsetOf } from './address.ts';
import type { DeviceBuffers } from './buffers.ts';
import { slotBytes } from './layout.ts';
import { BLOCK } from './memory.ts';
import { branch, type GroupTree, type Pipeline } from './pipelines.ts';
import { type DispatchDecl, extentBytes, type FunctionDecl, type Program, type Sizes } from './program.ts';
import type { PlannedCall } from './updatePhase.ts';

/** The pass for a dispatch of a function: one for all, or each its own when they are measured. */
export type PassSource = (dispatch: DispatchDecl) => GPUComputePassEncoder;

export interface Encoder {
  /** Fills uniform block `at` of a call. */
  write(at: number, sizes: Sizes, fn: FunctionDecl, scalar: (name: string) => number): void;
  /** Sends the first `count` blocks to the device. */
  flush(count: number): void;
  /** Dispatches a call's function with uniform block `block`. Returns the number of dispatches. */
  encode(passes: PassSource, block: number, call: PlannedCall): number;
}

export function createEncoder(device: GPUDevice, program: Program, bounds: Sizes, pipelines: readonly (Pipeline | null)[], buffers: DeviceBuffers): Encoder {
  const { table, uniforms, maxBlocks } = buffers;
  const blocks = new Uint32Array((maxBlocks * BLOCK) / 4);
  const floats = new Float32Array(blocks.buffer);
  const ints = new Int32Array(blocks.buffer);

  const dimWords = program.dims.map((d) => d.name);
  const write = (at: number, sizes: Sizes, fn: FunctionDecl, scalar: (name: string) => number): void => {
    const word = (at * BLOCK) / 4;
    dimWords.forEach((name, i) => {
      blocks[word + i] = sizes[name] ?? bounds[name] ?? 0;
    });
    for (const s of fn.scalars) {
      const value = scalar(s.name);
      if (s.dtype === 'f32') floats[word + s.word] = value;
      else if (s.dtype === 'i32') ints[word + s.word] = value;
      else blocks[word + s.word] = value >>> 0;
    }
  };

  const makeGroup = (pipeline: Pipeline, bound: readonly Address[], bytes: readonly number[]): GPUBindGroup =>
    device.createBindGroup({
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: 0, size: BLOCK } },
        ...bound.map(
          (at, i): GPUBindGroupEntry => ({
            binding: i + 1,
            resource: { buffer: table[bufferOf(at)] as GPUBuffer, offset: pipeline.dynamic[i] ? 0 : offsetOf(at), size: bytes[i] ?? 256 },
          }),
        ),
      ],
    });

  /** Made once for what it binds: buffers with an offset given at dispatch, addresses otherwise. */
  const bindGroup = (pipeline: Pipeline, bound: readonly Address[], bytes: readonly number[]): GPUBindGroup => {
    let at: GroupTree = pipeline.groups;
    for (let i = 0; i < bound.length; i++) {
      const address = bound[i] ?? -1;
      at = branch(branch(at, pipeline.dynamic[i] ? bufferOf(address) : address), bytes[i] ?? 0);
    }
    at.group ??= makeGroup(pipeline, bound, bytes);
    return at.group;
  };

  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  const groupsOf = (grid: DispatchDecl['grid'], sizes: Sizes): [number, number, number] => {
    const [x, y, z] = grid.map((axis) =>
      Math.ceil(axis.of.reduce<number>((p, d) => p * (typeof d === 'number' ? d : (sizes[d] ?? bounds[d] ?? 1)), 1) / axis.per),
    ) as [number, number, number];
    if (x <= limit) return [x, y, z];
    const rows = Math.ceil(x / limit);
    return [Math.ceil(x / rows), rows, z];
  };
  /** Workgroups of a dispatch, kept for as long as calls come with the same sizes. */
  const lastGroups = new Map<DispatchDecl, { readonly sizes: Sizes; readonly groups: readonly [number, number, number] }>();
  const workgroups = (d: DispatchDecl, sizes: Sizes): readonly [number, number, number] => {
    const last = lastGroups.get(d);
    if (last?.sizes === sizes) return last.groups;
    const groups = groupsOf(d.grid, sizes);
    lastGroups.set(d, { sizes, groups });
    return groups;
  };

  const exactBytes = (fn: FunctionDecl, slot: number, sizes: Sizes): number =>
    Math.max(16, Math.ceil(extentBytes(fn.slots[slot]?.extent ?? { of: [], bytes: 4 }, sizes) / 16) * 16);
  const skipped = (d: DispatchDecl, i: number): number => (d.parts?.[i] ?? 0) * program.partBytes;
  /** Bytes bound at the bounds, by dispatch. */
  const boundBytes = new Map(
    program.functions.flatMap((fn) =>
      fn.dispatches.map((d): [DispatchDecl, number[]] => [d, d.slots.map((s, i) => Math.min(slotBytes(fn, s, bounds) - skipped(d, i), program.partBytes))]),
    ),
  );

  const encode: Encoder['encode'] = (passes, block, { fn: fnIndex, slots, sizes, exact, adds }) => {
    let dispatches = 0;
    const fn = program.functions[fnIndex] as FunctionDecl;
    for (const d of fn.dispatches) {
      const index = adds ? (d.adding ?? d.pipeline) : d.pipeline;
      const pipeline = pipelines[index];
      if (!pipeline) throw new Error(`internal: pipeline ${program.pipelines[index]?.name} was not made`);
      const [x, y, z] = workgroups(d, sizes);
      if (x * y * z === 0) continue;
      const bound = d.slots.map((s, i) => (slots[s] ?? -1) + skipped(d, i));
      const bytes = exact ? d.slots.map((s, i) => Math.min(exactBytes(fn, s, sizes) - skipped(d, i), program.partBytes)) : (boundBytes.get(d) ?? []);
      const offsets = [block * BLOCK];
      for (let i = 0; i < bound.length; i++) if (pipeline.dynamic[i]) offsets.push(offsetOf(bound[i] ?? 0));
      const pass = passes(d);
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, bindGroup(pipeline, bound, bytes), offsets);
      pass.dispatchWorkgroups(x, y, z);
      dispatches++;
    }
    return dispatches;
  };

  return {
    write,
    flush: (count) => device.queue.writeBuffer(uniforms, 0, blocks.buffer, 0, count * BLOCK),
    encode,
  };
}

/** @file Encodes calls of functions: their uniform blocks, bind groups made once, dispatches. */

import { type Address, bufferOf, offsetOf } from './address.ts';
import { BLOCK, type DeviceBuffers } from './buffers.ts';
import { slotBytes } from './layout.ts';
import type { Pipeline } from './pipelines.ts';
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

  const bindGroup = (pipeline: Pipeline, bound: readonly Address[], bytes: readonly number[]): GPUBindGroup => {
    const key = bound.map((at, i) => (pipeline.dynamic[i] ? bufferOf(at) : at)).join() + bytes.join();
    const known = pipeline.groups.get(key);
    if (known) return known;
    const made = device.createBindGroup({
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
    pipeline.groups.set(key, made);
    return made;
  };

  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  const groupsOf = (grid: FunctionDecl['dispatches'][number]['grid'], sizes: Sizes): [number, number, number] => {
    const [x, y, z] = grid.map((axis) =>
      Math.ceil(axis.of.reduce<number>((p, d) => p * (typeof d === 'number' ? d : (sizes[d] ?? bounds[d] ?? 1)), 1) / axis.per),
    ) as [number, number, number];
    if (x <= limit) return [x, y, z];
    const rows = Math.ceil(x / limit);
    return [Math.ceil(x / rows), rows, z];
  };

  /** Bytes of each slot at the bounds, by function: what is bound. */
  const bytesOf = program.functions.map((fn) => fn.slots.map((_, s) => slotBytes(fn, s, bounds)));
  const encode: Encoder['encode'] = (passes, block, { fn: fnIndex, slots, sizes, exact, adds }) => {
    let dispatches = 0;
    const fn = program.functions[fnIndex] as FunctionDecl;
    for (const d of fn.dispatches) {
      const index = adds ? (d.adding ?? d.pipeline) : d.pipeline;
      const pipeline = pipelines[index];
      if (!pipeline) throw new Error(`internal: pipeline ${program.pipelines[index]?.name} was not made`);
      const skipped = (i: number): number => (d.parts?.[i] ?? 0) * program.partBytes;
      const bound = d.slots.map((s, i) => (slots[s] ?? -1) + skipped(i));
      const bytes = d.slots.map((s, i) => {
        const whole = exact
          ? Math.max(16, Math.ceil(extentBytes(fn.slots[s]?.extent ?? { of: [], bytes: 4 }, sizes) / 16) * 16)
          : (bytesOf[fnIndex]?.[s] ?? 256);
        return Math.min(whole - skipped(i), program.partBytes);
      });
      const offsets = [block * BLOCK];
      bound.forEach((at, i) => {
        if (pipeline.dynamic[i]) offsets.push(offsetOf(at));
      });
      const [x, y, z] = groupsOf(d.grid, sizes);
      if (x * y * z === 0) continue;
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

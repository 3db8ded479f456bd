/** @file Encodes calls of functions: their uniform blocks, their dispatches. What it fills is filled anew: encoding makes no garbage to speak of. */

import { BLOCK } from './bufferBytes.ts';
import type { DeviceBuffers } from './buffers.ts';
import { type Address, offsetOf } from './link/address.ts';
import type { DispatchDecl, FunctionDecl, Program, Sizes } from './program.ts';
import type { PlannedCall } from './updatePhase.ts';
import { type Binder, createBinder, type Prepared } from './webgpu/bindGroups.ts';
import type { Pipeline } from './webgpu/pipelines.ts';

/** The pass for a dispatch of a call: one for all, or each its own when they are measured. */
export type PassSource = (dispatch: DispatchDecl, call: PlannedCall) => GPUComputePassEncoder;

export interface Encoder {
  /** Fills uniform block `at` of a call. */
  write(at: number, call: PlannedCall): void;
  /** Sends the first `count` blocks to the device. */
  flush(count: number): void;
  /** Dispatches a call's function with uniform block `block`. Returns the number of dispatches. */
  encode(passes: PassSource, block: number, call: PlannedCall): number;
}

type Grid = readonly [x: number, y: number, z: number];

export function createEncoder(device: GPUDevice, program: Program, bounds: Sizes, pipelines: readonly (Pipeline | null)[], buffers: DeviceBuffers): Encoder {
  const { uniforms, maxBlocks } = buffers;
  const blocks = new Uint32Array((maxBlocks * BLOCK) / 4);
  const floats = new Float32Array(blocks.buffer);
  const ints = new Int32Array(blocks.buffer);
  const binder: Binder = createBinder(device, program, bounds, pipelines, buffers);

  const write = (at: number, { fn, sizes, scalar }: PlannedCall): void => {
    const word = (at * BLOCK) / 4;
    for (let i = 0; i < program.dims.length; i++) {
      const { name = '', bound = 0 } = program.dims[i] ?? {};
      blocks[word + i] = sizes[name] ?? bound;
    }
    for (const s of (program.functions[fn] as FunctionDecl).scalars) {
      const value = scalar(s.name);
      if (s.dtype === 'f32') floats[word + s.word] = value;
      else if (s.dtype === 'i32') ints[word + s.word] = value;
      else blocks[word + s.word] = value >>> 0;
    }
  };

  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  const gridOf = (grid: DispatchDecl['grid'], sizes: Sizes): Grid => {
    const [x, y, z] = grid.map((axis) =>
      Math.ceil(axis.of.reduce<number>((p, d) => p * (typeof d === 'number' ? d : (sizes[d] ?? bounds[d] ?? 1)), 1) / axis.per),
    ) as [number, number, number];
    if (x <= limit) return [x, y, z];
    const rows = Math.ceil(x / limit);
    return [Math.ceil(x / rows), rows, z];
  };
  /** Workgroups of a dispatch, kept for as long as calls come with the same sizes. */
  const lastGrids = new Map<Prepared, { sizes: Sizes; grid: Grid }>();
  const workgroups = (prepared: Prepared, sizes: Sizes): Grid => {
    const last = lastGrids.get(prepared);
    if (last?.sizes === sizes) return last.grid;
    const grid = gridOf(prepared.decl.grid, sizes);
    lastGrids.set(prepared, { sizes, grid });
    return grid;
  };

  const addresses: Address[] = [];
  const offsets = new Uint32Array(1 + Math.max(0, ...pipelines.map((p) => p?.dynamic.length ?? 0)));
  const encode: Encoder['encode'] = (passes, block, call) => {
    const { fn, slots, sizes, exact, adds } = call;
    let dispatches = 0;
    for (const prepared of binder.prepared(fn, adds)) {
      const { decl, pipeline, skipped } = prepared;
      const [x, y, z] = workgroups(prepared, sizes);
      if (x * y * z === 0) continue;
      offsets[0] = block * BLOCK;
      let moving = 1;
      for (let i = 0; i < decl.slots.length; i++) {
        const at = (slots[decl.slots[i] ?? -1] ?? -1) + (skipped[i] ?? 0);
        addresses[i] = at;
        if (pipeline.dynamic[i]) offsets[moving++] = offsetOf(at);
      }
      const group = binder.group(prepared, addresses, exact ? binder.bytesAt(fn, prepared, sizes) : prepared.bytes);
      const pass = passes(decl, call);
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, group, offsets, 0, moving);
      pass.dispatchWorkgroups(x, y, z);
      dispatches++;
    }
    return dispatches;
  };

  return { write, flush: (count) => device.queue.writeBuffer(uniforms, 0, blocks.buffer, 0, count * BLOCK), encode };
}

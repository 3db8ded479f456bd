/** @file One way of cutting a kernel on a device: compiled, run on made-up operands, timed, read back. */

import type { BoundKernel, Lowered } from '../codegen/kernel/lower/lowered.ts';
import { moduleOf } from '../codegen/targets/target.ts';
import { WGSL } from '../codegen/targets/wgsl/wgsl.ts';
import type { Value } from '../ir/types.ts';
import { readFloats, USAGE } from '../runtime/buffers.ts';
import { createPipelines, type Pipeline } from '../runtime/pipelines.ts';
import { type Extent, extentBytes, type Sizes } from '../runtime/program.ts';

/** Buffers for the values of a problem, shared by all of its trials. */
export interface Operands {
  /** The buffer of a value, the same in every kernel that binds it. */
  buffer(value: Value): GPUBuffer;
  readonly uniforms: GPUBuffer;
  /** Everything as it was: kernels may write over what they read. */
  reset(): void;
  destroy(): void;
}

/** A kernel, or several that run one after the other, ready to be measured. */
export interface PreparedKernel {
  readonly compileMs: number;
  /** Milliseconds of one run, over `repeats` runs in one submission. */
  time(repeats: number): Promise<number>;
  /** What it writes, after one run. */
  results(): Promise<Float32Array[]>;
}

/** Numbers between −1 and 1 that look like none in particular. */
function noise(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = (seed * 2654435761 + 1) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Bytes that are a small number in every stored dtype: f16, bf16 and blocks with f16 scales. */
const SMALL = 0x2c;

/** What a value holds: noise; integers are ones (segments), stored weights small numbers. */
function contents({ type: { dtype } }: Value, bytes: number, seed: number): ArrayBufferView<ArrayBuffer> {
  if (dtype === 'f32') return noise(bytes / 4, seed);
  return dtype === 'i32' || dtype === 'u32' || dtype === 'bool' ? new Int32Array(bytes / 4).fill(1) : new Uint8Array(bytes).fill(SMALL);
}

/** Operands for dimensions of `sizes`; run-time scalars are one. */
export function createOperands(device: GPUDevice, dims: readonly string[], sizes: Sizes, extentOf: (value: Value) => Extent): Operands {
  const made = new Map<Value, { readonly buffer: GPUBuffer; readonly data: ArrayBufferView<ArrayBuffer> }>();
  const uniforms = device.createBuffer({ size: 256, usage: USAGE.uniform | USAGE.copyDst });
  const words = new Uint32Array(64).fill(new Uint32Array(Float32Array.of(1).buffer)[0] ?? 0);
  dims.forEach((name, i) => {
    words[i] = sizes[name] ?? 1;
  });
  device.queue.writeBuffer(uniforms, 0, words);
  return {
    uniforms,
    buffer(value) {
      const known = made.get(value);
      if (known) return known.buffer;
      const size = Math.max(256, Math.ceil(extentBytes(extentOf(value), sizes) / 16) * 16);
      const buffer = device.createBuffer({ size, usage: USAGE.storage | USAGE.copySrc | USAGE.copyDst });
      const data = contents(value, size, made.size);
      device.queue.writeBuffer(buffer, 0, data);
      made.set(value, { buffer, data });
      return buffer;
    },
    reset() {
      for (const { buffer, data } of made.values()) device.queue.writeBuffer(buffer, 0, data);
    },
    destroy() {
      for (const { buffer } of made.values()) buffer.destroy();
      uniforms.destroy();
    },
  };
}

/** Compiles the kernels of a group and runs them once, since some drivers compile at the first run. */
export async function prepareKernel(device: GPUDevice, { kernel, values, before }: Lowered, operands: Operands, sizes: Sizes): Promise<PreparedKernel> {
  const started = performance.now();
  const bound = [...(before ? [before] : []), { kernel, values }];
  const steps = await Promise.all(bound.map((b) => createStep(device, b, operands, sizes)));
  const run = async (repeats: number): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < repeats; i++)
      for (const { pipeline, group, workgroups } of steps) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group, [0]);
        pass.dispatchWorkgroups(...workgroups);
      }
    pass.end();
    const submitted = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - submitted) / repeats;
  };
  await run(1);
  return {
    compileMs: performance.now() - started,
    time: run,
    async results() {
      operands.reset();
      await run(1);
      const written = values.filter((_, i) => kernel.buffers[i]?.access === 'read_write').map((value) => operands.buffer(value));
      return Promise.all(written.map((buffer) => readFloats(device, buffer, 0, buffer.size)));
    },
  };
}

interface Step {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

async function createStep(device: GPUDevice, { kernel, values }: BoundKernel, operands: Operands, sizes: Sizes): Promise<Step> {
  const access = kernel.buffers.map((b) => b.access);
  const decl = { name: kernel.name, wgsl: moduleOf(WGSL, kernel), access, moves: access.map(() => false), features: [] };
  const [{ pipeline, layout }] = (await createPipelines(device, [decl])) as [Pipeline];
  const group = device.createBindGroup({
    layout,
    entries: [
      { binding: 0, resource: { buffer: operands.uniforms, size: 256 } },
      ...values.map((value, i) => ({ binding: i + 1, resource: { buffer: operands.buffer(value) } })),
    ],
  });
  const workgroups = kernel.grid.map((axis) => Math.ceil(extentBytes({ of: axis.of, bytes: 1 }, sizes) / axis.per)) as [number, number, number];
  return { pipeline, group, workgroups };
}

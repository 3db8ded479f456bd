/** @file Prepares a kernel for measuring: compiles it, runs it on made-up operands, times it, reads its results back. */

import type { BoundKernel, Lowered } from '../codegen/kernel/lower/lowered.ts';
import { moduleOf } from '../codegen/targets/target.ts';
import { targetNamed } from '../codegen/targets/targets.ts';
import { at } from '../errors.ts';
import type { Value } from '../ir/types.ts';
import { BLOCK_BYTES, type Device, type DeviceBuffer, type Launch, type Memory } from '../runtime/device.ts';
import { bufferAt } from '../runtime/engineBuffers.ts';
import { type Address, address } from '../runtime/link/address.ts';
import { type Extent, extentBytes, type Sizes } from '../runtime/program.ts';

/** The memory of a problem's values, which all of its kernels share. */
export interface Operands {
  readonly memory: Memory;
  /** Where a value lies, the same in every kernel that is given it. */
  place(value: Value): Promise<Address>;
  /** Writes everything as it was at first, since kernels may write over what they read. */
  reset(): void;
  destroy(): void;
}

/** A kernel, or several that run one after the other, ready to be measured. */
export interface PreparedKernel {
  readonly compileMs: number;
  /** Milliseconds of one run, as the mean of `repeats` runs in one submission. */
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

/** What a value holds at first: noise, where integers are ones (segments) and stored weights small numbers. */
function contents({ type: { dtype } }: Value, bytes: number, seed: number): ArrayBufferView<ArrayBuffer> {
  if (dtype === 'f32') return noise(bytes / 4, seed);
  return dtype === 'i32' || dtype === 'u32' || dtype === 'bool' ? new Int32Array(bytes / 4).fill(1) : new Uint8Array(bytes).fill(SMALL);
}

/** Makes the memory for dimensions of `sizes`. Run-time scalars are one, and so are dimensions that `sizes` lacks. */
export async function createOperands(device: Device, dims: readonly string[], sizes: Sizes, extentOf: (value: Value) => Extent): Promise<Operands> {
  const places = new Map<Value, Promise<Address>>();
  const buffers: DeviceBuffer[] = [];
  const contentsOf: ArrayBufferView[] = [];
  const [blocks] = (await device.allocate([{ name: 'parameters of a trial', bytes: BLOCK_BYTES, use: 'blocks' }])) as [DeviceBuffer];
  const words = new Uint32Array(BLOCK_BYTES / 4).fill(at(new Uint32Array(Float32Array.of(1).buffer), 0));
  dims.forEach((name, i) => {
    const size = sizes[name];
    words[i] = size === undefined ? 1 : size;
  });
  device.write(blocks, 0, words);
  const make = async (value: Value, index: number): Promise<Address> => {
    const bytes = Math.max(256, Math.ceil(extentBytes(extentOf(value), sizes) / 16) * 16);
    const [buffer] = (await device.allocate([{ name: value.name, bytes, use: 'data' }])) as [DeviceBuffer];
    const data = contents(value, bytes, index);
    device.write(buffer, 0, data);
    [buffers[index], contentsOf[index]] = [buffer, data];
    return address(index, 0);
  };
  return {
    memory: { buffers, blocks },
    place(value) {
      const known = places.get(value) ?? make(value, places.size);
      places.set(value, known);
      return known;
    },
    reset() {
      for (const [i, buffer] of buffers.entries()) device.write(buffer, 0, at(contentsOf, i));
    },
    destroy() {
      for (const buffer of [blocks, ...buffers]) buffer.destroy();
    },
  };
}

/** Compiles the kernels of a group and runs them once, since some drivers compile at the first run. */
export async function prepareKernel(device: Device, { kernel, values, before }: Lowered, operands: Operands, sizes: Sizes): Promise<PreparedKernel> {
  const started = performance.now();
  const bound = [...(before ? [before] : []), { kernel, values }];
  const steps = await Promise.all(bound.map((b) => createStep(device, b, operands, sizes)));
  const run = async (repeats: number): Promise<number> => {
    const recording = device.record();
    for (let i = 0; i < repeats; i++) for (const { launch, places, workgroups } of steps) recording.dispatch(launch, 0, places, ...workgroups);
    const submitted = performance.now();
    device.submit(recording);
    await device.done();
    return (performance.now() - submitted) / repeats;
  };
  await run(1);
  return {
    compileMs: performance.now() - started,
    time: run,
    async results() {
      operands.reset();
      await run(1);
      const written = values.filter((_, i) => kernel.buffers[i]?.access === 'read_write');
      return Promise.all(
        written.map(async (value) => {
          const buffer = bufferAt(operands.memory, await operands.place(value));
          return new Float32Array(await device.read(buffer, 0, buffer.bytes));
        }),
      );
    },
  };
}

interface PreparedStep {
  readonly launch: Launch;
  readonly places: readonly Address[];
  readonly workgroups: readonly [number, number, number];
}

async function createStep(device: Device, { kernel, values }: BoundKernel, operands: Operands, sizes: Sizes): Promise<PreparedStep> {
  const access = kernel.buffers.map((b) => b.access);
  const pipeline = await device.pipeline({
    name: kernel.name,
    code: moduleOf(targetNamed(device.profile.target), kernel),
    access,
    moves: access.map(() => false),
  });
  const places = await Promise.all(values.map((value) => operands.place(value)));
  const bytes = places.map((place) => bufferAt(operands.memory, place).bytes);
  const workgroups = kernel.grid.map((axis) => Math.ceil(extentBytes({ of: axis.of, bytes: 1 }, sizes) / axis.per)) as [number, number, number];
  return { launch: device.launch(pipeline, operands.memory, bytes), places, workgroups };
}

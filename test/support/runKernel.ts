/** @file Runs one kernel on a device: buffers in, buffers out. For tests and measurements. */

import { type Kernel, PARAM_WORDS } from '../../src/codegen/kernel/ir.ts';
import { sizeValue } from '../../src/codegen/kernel/size.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';
import type { BufferRequest, Device, DeviceBuffer } from '../../src/runtime/device.ts';
import { address } from '../../src/runtime/link/address.ts';

export type Data = Float32Array | Uint32Array | Int32Array;

export interface KernelRun {
  /** The parameter block's first words; the rest are 0. */
  readonly params?: Uint32Array;
  /** By buffer name; every buffer of the kernel. The arrays are not changed. */
  readonly buffers: Readonly<Record<string, Data>>;
  /** Values of the dimension symbols in the grid. */
  readonly dims?: Readonly<Record<string, number>>;
}

/** Workgroups per axis at these dimension values. */
export function gridOf(kernel: Kernel, dims: Readonly<Record<string, number>> = {}): [number, number, number] {
  const [x, y, z] = kernel.grid.map((axis) => Math.ceil(sizeValue(axis, dims) / axis.per));
  return [x ?? 1, y ?? 1, z ?? 1];
}

/** A kernel made ready on a device; `time` gives the milliseconds of one dispatch, the best of several. */
export interface PreparedKernel {
  readonly compileMs: number;
  dispatch(): Promise<void>;
  time(repeats: number): Promise<number>;
  read(): Promise<Record<string, Data>>;
  destroy(): void;
}

/** @throws Error with the WGSL of a kernel that does not compile */
export async function prepareKernel(device: Device, kernel: Kernel, run: KernelRun): Promise<PreparedKernel> {
  const code = moduleOf(WGSL, kernel);
  const access = kernel.buffers.map((buffer) => buffer.access);
  const started = performance.now();
  const pipeline = await device.pipeline({ name: kernel.name, code, access, moves: access.map(() => false) }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${code}`);
  });
  const compileMs = performance.now() - started;
  const given = kernel.buffers.map(({ name }) => {
    const data = run.buffers[name];
    if (data === undefined) throw new Error(`${kernel.name}: no data for buffer ${name}`);
    return { name, data };
  });
  const requests = given.map(({ name, data }): BufferRequest => ({ name, bytes: Math.max(16, Math.ceil(data.byteLength / 16) * 16), use: 'data' }));
  const [blocks, ...buffers] = (await device.allocate([{ name: 'parameters', bytes: PARAM_WORDS * 4, use: 'blocks' }, ...requests])) as [
    DeviceBuffer,
    ...DeviceBuffer[],
  ];
  const words = new Uint32Array(PARAM_WORDS);
  words.set(run.params ?? []);
  device.write(blocks, 0, words);
  buffers.forEach((buffer, i) => device.write(buffer, 0, given[i]!.data));
  const launch = device.launch(
    pipeline,
    { buffers, blocks },
    buffers.map((buffer) => buffer.bytes),
  );
  const addresses = buffers.map((_, i) => address(i, 0));
  const dispatch = async (times = 1): Promise<void> => {
    const recording = device.record();
    for (let i = 0; i < times; i++) recording.dispatch(launch, 0, addresses, ...gridOf(kernel, run.dims));
    device.submit(recording);
    await device.done();
  };
  return {
    compileMs,
    dispatch,
    async time(repeats) {
      await dispatch();
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 3; i++) {
        const start = performance.now();
        await dispatch(repeats);
        best = Math.min(best, (performance.now() - start) / repeats);
      }
      return best;
    },
    read: async () => Object.fromEntries(await Promise.all(given.map(async ({ name, data }, i) => [name, await readBack(device, buffers[i]!, data)] as const))),
    destroy() {
      for (const buffer of [blocks, ...buffers]) buffer.destroy();
    },
  };
}

async function readBack(device: Device, from: DeviceBuffer, like: Data): Promise<Data> {
  const bytes = (await device.read(from, 0, from.bytes)).slice(0, like.byteLength);
  if (like instanceof Float32Array) return new Float32Array(bytes);
  return like instanceof Uint32Array ? new Uint32Array(bytes) : new Int32Array(bytes);
}

/** Dispatches the kernel once; resolves to the contents of its writable buffers by name. */
export async function runKernel(device: Device, kernel: Kernel, run: KernelRun): Promise<Record<string, Data>> {
  const prepared = await prepareKernel(device, kernel, run);
  await prepared.dispatch();
  const all = await prepared.read();
  prepared.destroy();
  return Object.fromEntries(kernel.buffers.filter(({ access }) => access === 'read_write').map(({ name }) => [name, all[name] as Data]));
}

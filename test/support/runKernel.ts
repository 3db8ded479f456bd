/** @file Runs one kernel on a device: buffers in, buffers out. For tests and measurements. */

import { type Kernel, PARAM_WORDS } from '../../src/codegen/kernel/ir.ts';
import { sizeValue } from '../../src/codegen/kernel/size.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';

/** WebGPU's flag values: the globals exist only once an adapter module was loaded. */
const GPU = { COMPUTE: 4, READ: 1, MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 0x40, STORAGE: 0x80 };

export type Data = Float32Array | Uint32Array | Int32Array;

export interface KernelRun {
  /** The uniform block's first words; the rest are 0. */
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

export async function prepareKernel(device: GPUDevice, kernel: Kernel, run: KernelRun): Promise<PreparedKernel> {
  const started = performance.now();
  const module = device.createShaderModule({ code: moduleOf(WGSL, kernel) });
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: GPU.COMPUTE, buffer: { type: 'uniform' } },
      ...kernel.buffers.map(({ access }, index) => ({
        binding: index + 1,
        visibility: GPU.COMPUTE,
        buffer: { type: access === 'read' ? ('read-only-storage' as const) : ('storage' as const) },
      })),
    ],
  });
  device.pushErrorScope('validation');
  const pipeline = await device
    .createComputePipelineAsync({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    })
    .catch((error: unknown) => {
      throw new Error(`${String(error)}\n${moduleOf(WGSL, kernel)}`);
    });
  const compileMs = performance.now() - started;
  const params = device.createBuffer({ size: PARAM_WORDS * 4, usage: GPU.UNIFORM | GPU.COPY_DST });
  const words = new Uint32Array(PARAM_WORDS);
  words.set(run.params ?? []);
  device.queue.writeBuffer(params, 0, words);
  const buffers = kernel.buffers.map(({ name }) => {
    const data = run.buffers[name];
    if (data === undefined) throw new Error(`${kernel.name}: no data for buffer ${name}`);
    const usage = GPU.STORAGE | GPU.COPY_DST | GPU.COPY_SRC;
    const buffer = device.createBuffer({ size: Math.max(16, Math.ceil(data.byteLength / 16) * 16), usage });
    device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
    return { name, buffer, data };
  });
  const group = device.createBindGroup({
    layout,
    entries: [params, ...buffers.map(({ buffer }) => buffer)].map((buffer, binding) => ({
      binding,
      resource: { buffer },
    })),
  });
  const problem = await device.popErrorScope();
  if (problem !== null) throw new Error(`${kernel.name}: ${problem.message}`);
  const submit = (times: number): void => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < times; i++) pass.dispatchWorkgroups(...gridOf(kernel, run.dims));
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  const dispatch = async (times = 1): Promise<void> => {
    submit(times);
    await device.queue.onSubmittedWorkDone();
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
    read: async () =>
      Object.fromEntries(await Promise.all(buffers.map(async ({ name, buffer, data }) => [name, await readBack(device, buffer, data)] as const))),
    destroy() {
      for (const { buffer } of buffers) buffer.destroy();
      params.destroy();
    },
  };
}

async function readBack(device: GPUDevice, from: GPUBuffer, like: Data): Promise<Data> {
  const staging = device.createBuffer({ size: from.size, usage: GPU.MAP_READ | GPU.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, staging, 0, from.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPU.READ);
  const bytes = staging.getMappedRange().slice(0, like.byteLength);
  staging.destroy();
  if (like instanceof Float32Array) return new Float32Array(bytes);
  return like instanceof Uint32Array ? new Uint32Array(bytes) : new Int32Array(bytes);
}

/** Dispatches the kernel once; resolves to the contents of its writable buffers by name. */
export async function runKernel(device: GPUDevice, kernel: Kernel, run: KernelRun): Promise<Record<string, Data>> {
  const prepared = await prepareKernel(device, kernel, run);
  await prepared.dispatch();
  const all = await prepared.read();
  prepared.destroy();
  return Object.fromEntries(kernel.buffers.filter(({ access }) => access === 'read_write').map(({ name }) => [name, all[name] as Data]));
}

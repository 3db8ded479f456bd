/** @file What a device was measured to do at most: a matmul of Ebb's own, and copies. */

import type { Roof } from '../inspect/profile.ts';
import type { CommandDevice } from '../node/device.ts';
import { MEASURED_SIZE, matmulKernel, matmulStandard } from './doctorKernel.ts';

export async function measureRoof({ device, traits }: Pick<CommandDevice, 'device' | 'traits'>): Promise<Roof> {
  return { gflops: await matmulGflops(device, traits), gbps: await copyGBps(device) };
}

/** The best of some timed runs, in seconds. */
async function fastest(device: GPUDevice, encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const encoder = device.createCommandEncoder();
    encode(encoder);
    const started = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    // the first run compiles
    if (i > 0) best = Math.min(best, performance.now() - started);
  }
  return best / 1000;
}

async function matmulGflops(device: GPUDevice, traits: CommandDevice['traits']): Promise<number> {
  const size = { m: MEASURED_SIZE, n: MEASURED_SIZE, k: MEASURED_SIZE };
  const { run, destroy } = await matmulKernel(device, size, matmulStandard(traits, size));
  const seconds = await fastest(device, run);
  destroy();
  return (2 * MEASURED_SIZE ** 3) / seconds / 1e9;
}

async function copyGBps(device: GPUDevice): Promise<number> {
  const size = 64 * 2 ** 20;
  const [from, to] = [0, 1].map(() => device.createBuffer({ size, usage: 0x4 | 0x8 })) as [GPUBuffer, GPUBuffer];
  const seconds = await fastest(device, (encoder) => encoder.copyBufferToBuffer(from, 0, to, 0, size));
  from.destroy();
  to.destroy();
  return (2 * size) / seconds / 1e9;
}

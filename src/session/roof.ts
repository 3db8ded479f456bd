/** @file Measures the most that a device does in a second, by a matmul of Ebb's own and by copies. */

import { deviceTraits, kindTraits } from '../codegen/kernel/device.ts';
import type { Roof } from '../inspect/profile.ts';
import type { Device, DeviceBuffer, Recording } from '../runtime/device.ts';
import { matmulKernel, matmulStandard } from '../tune/productKernel.ts';

/** Rows, columns and depth of the matmul that is measured. */
export const MEASURED_SIZE = 512;

/** Measures a device. Each number is the best of a few runs. */
export async function measureRoof(device: Device): Promise<Roof> {
  return { gflops: await matmulGflops(device, MEASURED_SIZE), gbps: await copyGBps(device) };
}

const RUNS = 3;

/** Times a few runs, and returns the shortest time in seconds. */
async function fastest(device: Device, record: (recording: Recording) => void): Promise<number> {
  const run = async (): Promise<number> => {
    const recording = device.record();
    record(recording);
    const started = performance.now();
    device.submit(recording);
    await device.done();
    return performance.now() - started;
  };
  // The first run includes compilation, and an idle device has yet to come to its full clock.
  await run();
  const { warmMs } = kindTraits(device.profile);
  for (const started = performance.now(); performance.now() - started < warmMs; ) await run();
  let best = Number.POSITIVE_INFINITY;
  for (let timed = 0; timed < RUNS; timed++) best = Math.min(best, await run());
  return best / 1000;
}

/** The 10⁹ floating point operations that a device does in a second in a product of square matrices in f32. */
export async function matmulGflops(device: Device, rows: number): Promise<number> {
  const size = { m: rows, n: rows, k: rows };
  const { record, destroy } = await matmulKernel(device, size, matmulStandard(deviceTraits(device), size));
  const seconds = await fastest(device, record);
  destroy();
  return (2 * rows ** 3) / seconds / 1e9;
}

const COPIED_BYTES = 64 * 2 ** 20;

async function copyGBps(device: Device): Promise<number> {
  const request = { name: 'copies', bytes: COPIED_BYTES, use: 'data' } as const;
  const [from, to] = (await device.allocate([request, request])) as readonly [DeviceBuffer, DeviceBuffer];
  const seconds = await fastest(device, (recording) => recording.copy(from, 0, to, 0, COPIED_BYTES));
  from.destroy();
  to.destroy();
  return (2 * COPIED_BYTES) / seconds / 1e9;
}

/** @file `ebb doctor`: which adapters there are, which is taken and why, and what it measures. */

import { listAdapters } from '../node/adapter.ts';
import type { CommandDevice } from '../node/device.ts';
import { adapterRank } from '../runtime/adapterKind.ts';
import { MEASURED_SIZE, matmulKernel } from './doctorKernel.ts';

export interface DoctorReport {
  readonly adapters: readonly { readonly kind: Kind; readonly name: string }[];
  readonly taken: { readonly kind: string; readonly name: string; readonly why: string };
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  readonly measured: { readonly matmulGflops: number; readonly copyGBps: number };
  readonly advice: string;
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxDynamicStorageBuffersPerPipelineLayout',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;

export async function doctor({ opened, device, traits }: CommandDevice): Promise<DoctorReport> {
  const adapters = (await listAdapters()).map(({ kind, name }) => ({ kind, name }));
  return {
    adapters,
    taken: { kind: opened.kind, name: opened.name, why: opened.why },
    features: opened.features,
    limits: Object.fromEntries(LIMITS.map((name) => [name, device.limits[name]])),
    measured: { matmulGflops: await matmulGflops(device, traits), copyGBps: await copyGBps(device) },
    advice: advice(
      opened.kind,
      adapters.map((a) => a.kind),
    ),
  };
}

type Kind = CommandDevice['traits']['kind'];

/** What would be faster than the adapter taken, seeing which others there are. */
export function advice(kind: Kind, found: readonly Kind[]): string {
  if (adapterRank(kind) === 0) return 'a GPU is in use; keep its driver up to date';
  if (found.some((k) => adapterRank(k) === 0)) return 'a GPU was found and is not in use; leave --adapter and EBB_ADAPTER out to take it';
  if (kind !== 'lavapipe' && found.includes('lavapipe'))
    return 'no GPU was found; lavapipe is here and faster (--adapter lavapipe), a GPU is many times faster';
  if (kind === 'lavapipe') return 'no GPU was found; a GPU with a Vulkan, Metal or D3D12 driver is many times faster';
  return 'no GPU was found; a GPU is many times faster, and Mesa 25 or newer (on Debian: mesa-vulkan-drivers from backports) several times';
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
  const { run, destroy } = await matmulKernel(device, traits, { m: MEASURED_SIZE, n: MEASURED_SIZE, k: MEASURED_SIZE });
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

export function doctorText(r: DoctorReport): string {
  return [
    'adapters:',
    ...r.adapters.map((a) => `  ${a.kind.padEnd(12)} ${a.name}${a.name === r.taken.name ? '   <- taken' : ''}`),
    `taken:      ${r.taken.kind}, ${r.taken.why}`,
    `features:   ${r.features.join(', ') || 'none'}`,
    'limits:',
    ...Object.entries(r.limits).map(([name, value]) => `  ${name.padEnd(42)} ${value}`),
    `measured:   matmul ${MEASURED_SIZE}³ ${r.measured.matmulGflops.toFixed(1)} GFLOP/s, copies ${r.measured.copyGBps.toFixed(1)} GB/s`,
    `advice:     ${r.advice}`,
  ].join('\n');
}

/** @file `ebb doctor`: lists the devices of this machine, says which one is taken and why, and measures it. */

import { listAdapters } from '../node/adapter.ts';
import type { CommandDevice } from '../node/device.ts';
import { type AdapterKind, adapterRank } from '../runtime/adapterKind.ts';
import type { Entry } from '../tune/book.ts';
import { bookFile } from '../tune/file.ts';
import { MEASURED_SIZE } from './doctorKernel.ts';
import { measureRoof } from './roof.ts';
import { knownSchedules } from './tune.ts';

export interface DoctorReport {
  readonly adapters: readonly { readonly kind: AdapterKind; readonly name: string }[];
  readonly taken: { readonly kind: string; readonly name: string; readonly why: string };
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** The kernels whose schedules were measured on the device that is taken, and the file that keeps them. */
  readonly schedules: { readonly file: string; readonly entries: readonly Entry[] };
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

/** Measures the device that is taken, and lists the others. */
export async function doctor(taken: CommandDevice): Promise<DoctorReport> {
  const { device, why } = taken;
  const { kind, name, features, limits } = device.profile;
  const roof = await measureRoof(device);
  const book = knownSchedules(taken);
  const adapters = (await listAdapters()).map((adapter) => ({ kind: adapter.kind, name: adapter.name }));
  return {
    adapters,
    taken: { kind, name, why },
    features,
    limits: Object.fromEntries(LIMITS.map((limit) => [limit, limits[limit]])),
    schedules: { file: bookFile(book.surroundings), entries: Object.values(book.entries) },
    measured: { matmulGflops: roof.gflops, copyGBps: roof.gbps },
    advice: advice(
      kind,
      adapters.map((a) => a.kind),
    ),
  };
}

/** Says what would be faster than a device of kind `kind`, given the kinds that were found. */
export function advice(kind: AdapterKind, found: readonly AdapterKind[]): string {
  if (adapterRank(kind) === 0) return 'a GPU is in use; keep its driver up to date';
  if (found.some((k) => adapterRank(k) === 0)) return 'a GPU was found and is not in use; leave --device and EBB_DEVICE out to take it';
  if (kind !== 'lavapipe' && found.includes('lavapipe'))
    return 'no GPU was found; lavapipe is here and faster (give --device lavapipe), and a GPU is many times faster';
  if (kind === 'lavapipe') return 'no GPU was found; a GPU with a Vulkan, Metal or D3D12 driver is many times faster';
  return 'no GPU was found; a GPU is many times faster, and the CPU driver of Mesa 25 or newer (on Debian: mesa-vulkan-drivers from backports) several times';
}

/** Writes the report as text. */
export function doctorText(r: DoctorReport): string {
  return [
    'adapters:',
    ...r.adapters.map((a) => `  ${a.kind.padEnd(12)} ${a.name}${a.name === r.taken.name ? '   <- taken' : ''}`),
    `taken:      ${r.taken.kind}, ${r.taken.why}`,
    `features:   ${r.features.join(', ') || 'none'}`,
    'limits:',
    ...Object.entries(r.limits).map(([name, value]) => `  ${name.padEnd(42)} ${value}`),
    `measured:   matmul ${MEASURED_SIZE}³ ${r.measured.matmulGflops.toFixed(1)} GFLOP/s, copies ${r.measured.copyGBps.toFixed(1)} GB/s`,
    `schedules:  ${r.schedules.entries.length} measured, in ${r.schedules.file}${r.schedules.entries.length > 0 ? ' (--schedules lists them)' : ''}`,
    `advice:     ${r.advice}`,
  ].join('\n');
}

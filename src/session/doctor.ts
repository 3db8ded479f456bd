/** @file `doctor`: lists the devices of this machine, says which one is taken and why, and measures it. */

import { option } from '../errors.ts';
import { checkOptions } from '../issues.ts';
import { listAdapters } from '../node/adapter.ts';
import type { CommandDevice } from '../node/device.ts';
import { type AdapterKind, adapterRank } from '../runtime/adapterKind.ts';
import type { Entry } from '../tune/book.ts';
import { bookFile } from '../tune/file.ts';
import { type OnDevice, onDevice } from './device.ts';
import { ON_DEVICE } from './optionKinds.ts';
import { measureRoof } from './roof.ts';
import { knownSchedules } from './tune.ts';

/** What a machine offers: its devices, the one that is taken, and how fast that is. */
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

/** Measures the device that is taken, and lists the others. @throws EbbError for a device that is not there */
export function doctor(options: OnDevice = {}): Promise<DoctorReport> {
  checkOptions('doctor()', options, ON_DEVICE);
  return onDevice(options.device, {}, report);
}

async function report(taken: CommandDevice): Promise<DoctorReport> {
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
  if (found.some((k) => adapterRank(k) === 0)) return `a GPU was found and is not in use; leave ${option('device')} and EBB_DEVICE out to take it`;
  if (kind !== 'lavapipe' && found.includes('lavapipe'))
    return `no GPU was found; lavapipe is here and faster (give ${option('device')} lavapipe), and a GPU is many times faster`;
  if (kind === 'lavapipe') return 'no GPU was found; a GPU with a Vulkan, Metal or D3D12 driver is many times faster';
  return 'no GPU was found; a GPU is many times faster, and the CPU driver of Mesa 25 or newer (on Debian: mesa-vulkan-drivers from backports) several times';
}

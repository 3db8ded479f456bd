/** @file Adapters in Node through Dawn: which there are, which is taken, and a device with the adapter's own limits. */

import { EbbError } from '../errors.ts';
import { type AdapterKind, adapterKind, adapterRank } from '../runtime/adapterKind.ts';
import type { Device } from '../runtime/device.ts';
import { adapterName } from '../runtime/webgpu/adapterProfile.ts';
import { openAdapter } from '../runtime/webgpu/device.ts';
import type { WebgpuAdapter } from '../runtime/webgpu/objects.ts';
import { quietly } from './quiet.ts';
import { prepareVulkan } from './vulkan.ts';

export interface AdapterChoice {
  readonly adapter: WebgpuAdapter;
  readonly kind: AdapterKind;
  readonly name: string;
}

/** A device of this machine. */
export interface OpenedDevice {
  readonly device: Device;
  /** Why this one was taken. */
  readonly why: string;
  close(): void;
}

export interface OpenOptions {
  /** `auto`, `gpu`, `lavapipe`, `swiftshader`, or part of an adapter's name; default, and for `auto`: the variable EBB_DEVICE, else the best there is. */
  readonly device?: string | undefined;
  /** @deprecated What `device` was called in version 0.1.0. */
  readonly adapter?: string;
  /** Keeps Dawn's bounds checks; kernels are checked for bounds themselves. */
  readonly robust?: boolean;
  /** Told of names that changed since an earlier version; default: a warning of the process. */
  readonly onNote?: (text: string) => void;
  /** Told of errors that no call throws, and of the device's loss; default: warnings of the process. */
  readonly onError?: (error: EbbError) => void;
}

interface Dawn {
  create(flags: string[]): GPU;
  readonly globals: Record<string, unknown>;
}

// A Dawn instance must outlive its devices, which know nothing of it, and must not hang on globalThis. So the module keeps it.
const instances = new Map<string, GPU>();

/**
 * Experimental features are offered (subgroup matrices; f16 on NVIDIA, whose tensor cores take it); bounds checks are left out. Timestamps
 * come as the device has them, not in steps of 65 µs, several kernels each.
 */
const toggles = (robust: boolean): string[] => [
  `enable-dawn-features=${['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia', ...(robust ? [] : ['disable_robustness'])].join()}`,
  'disable-dawn-features=timestamp_quantization',
];

async function dawn(robust: boolean): Promise<GPU> {
  const key = String(robust);
  const known = instances.get(key);
  if (known) return known;
  prepareVulkan();
  const { create } = (await import('webgpu')) as unknown as Dawn;
  const gpu = create(toggles(robust));
  instances.set(key, gpu);
  return gpu;
}

const choiceOf = (adapter: GPUAdapter): AdapterChoice => ({ adapter, kind: adapterKind(adapter.info), name: adapterName(adapter.info) });

/** All adapters, best first. */
export async function listAdapters(robust = false): Promise<AdapterChoice[]> {
  const gpu = await dawn(robust);
  const found: AdapterChoice[] = [];
  for (const options of [
    {},
    { powerPreference: 'high-performance' },
    { powerPreference: 'low-power' },
    { forceFallbackAdapter: true },
  ] as GPURequestAdapterOptions[]) {
    const adapter = await quietly(() => gpu.requestAdapter(options));
    if (!adapter) continue;
    const choice = choiceOf(adapter);
    if (!found.some((f) => f.name === choice.name)) found.push(choice);
  }
  for (const kind of ['swiftshader', 'lavapipe'] as const) {
    if (found.some((f) => f.kind === kind)) continue;
    const other = await byName(kind === 'lavapipe' ? 'llvmpipe' : 'SwiftShader', robust);
    if (other) found.push(other);
  }
  return found.sort((a, b) => adapterRank(a.kind) - adapterRank(b.kind));
}

/** Dawn's own filter finds software adapters that requestAdapter's options do not name. */
async function byName(name: string, robust: boolean): Promise<AdapterChoice | null> {
  const { create } = (await import('webgpu')) as unknown as Dawn;
  const key = `${name}:${robust}`;
  const gpu = instances.get(key) ?? create([`adapter=${name}`, ...toggles(robust)]);
  instances.set(key, gpu);
  const adapter = await quietly(() => gpu.requestAdapter({}).catch(() => null));
  return adapter && choiceOf(adapter);
}

/** Picks out of the adapters, best first. @param asker what named it, for a message @throws EbbError that lists what there is */
export function chooseAdapter<T extends { readonly kind: AdapterKind; readonly name: string }>(
  choices: readonly T[],
  wanted: string,
  asker = 'device',
): { choice: T; why: string } {
  if (wanted === '') throw new EbbError(`${asker}: is empty; expected auto, gpu or part of a device's name`, 'device');
  const names = choices.map((c) => `${c.kind} (${c.name})`).join(', ');
  if (choices.length === 0)
    throw new EbbError(
      'no WebGPU adapter was found; install a Vulkan driver (on Debian: mesa-vulkan-drivers 25 or newer), or let npm install the optional package @sparticuz/chromium',
      'device',
    );
  const [best] = choices;
  if (wanted === 'auto' && best) return { choice: best, why: adapterRank(best.kind) === 0 ? 'a GPU' : `the fastest of ${names}; there is no GPU` };
  const matches = (c: T): boolean => (wanted === 'gpu' ? adapterRank(c.kind) === 0 : c.kind === wanted || c.name.toLowerCase().includes(wanted.toLowerCase()));
  const choice = choices.find(matches);
  if (!choice) throw new EbbError(`${asker} ${wanted}: this machine has no such device; there are ${names}`, 'device');
  return { choice, why: `asked for by ${wanted}` };
}

/** Which device is wanted, and what says so. @throws EbbError where it is named twice */
function wantedDevice({ device, adapter, onNote = (note) => process.emitWarning(note) }: OpenOptions): { readonly wanted: string; readonly asker: string } {
  if (adapter !== undefined && device !== undefined)
    throw new EbbError(`openDevice: adapter is what device was called, and both are given (${adapter}, ${device}); give device alone`, 'device');
  const named = device ?? adapter ?? 'auto';
  if (named !== 'auto') return { wanted: named, asker: 'device' };
  const { EBB_DEVICE = '', EBB_ADAPTER = '' } = process.env;
  if (EBB_DEVICE !== '') {
    if (EBB_ADAPTER !== '' && EBB_ADAPTER !== EBB_DEVICE) onNote(`EBB_DEVICE is ${EBB_DEVICE}; EBB_ADAPTER, its old name, is ${EBB_ADAPTER} and is not read`);
    return { wanted: EBB_DEVICE, asker: 'EBB_DEVICE' };
  }
  if (EBB_ADAPTER === '') return { wanted: 'auto', asker: 'device' };
  onNote('the variable EBB_ADAPTER is called EBB_DEVICE now; the old name is still read');
  return { wanted: EBB_ADAPTER, asker: 'EBB_ADAPTER' };
}

/** Opens the best device of this machine, or the one asked for. @throws EbbError */
export async function openDevice(options: OpenOptions = {}): Promise<OpenedDevice> {
  const { wanted, asker } = wantedDevice(options);
  const { choice, why } = chooseAdapter(await listAdapters(options.robust ?? false), wanted, asker);
  const device = await quietly(() => openAdapter(choice.adapter));
  device.onFailure(options.onError ?? ((error) => process.emitWarning(error)));
  return { device, why, close: () => device.destroy() };
}

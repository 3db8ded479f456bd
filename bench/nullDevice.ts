/** @file Dawn's null backend: a device that takes every command and runs none. What a step costs its host is measured on it undisturbed. */

import { createRequire } from 'node:module';
import { EbbError } from '../src/index.ts';
import { type Device, openAdapter } from '../src/runtime/index.ts';
import type { WebgpuAdapter } from '../src/runtime/webgpu/objects.ts';

/** Dawn's instance must outlive its devices. */
interface Opened {
  readonly device: Device;
  readonly gpu: unknown;
}

/** @throws EbbError where this build of Dawn has no null backend */
export async function openNullDevice(): Promise<Opened> {
  const { create } = createRequire(import.meta.url)('webgpu') as { create(flags: string[]): { requestAdapter(): Promise<WebgpuAdapter | null> } };
  const gpu = create(['backend=null']);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new EbbError('this build of Dawn has no null backend; measure on another device', 'device');
  return { device: await openAdapter(adapter), gpu };
}

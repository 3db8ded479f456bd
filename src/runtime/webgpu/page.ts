/** @file The GPU of the browser that a page runs in. */

import { EbbError } from '../../errors.ts';
import type { Device } from '../device.ts';
import { adapterName } from './adapterProfile.ts';
import { openAdapter } from './device.ts';

async function pageAdapter(): Promise<GPUAdapter> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new EbbError('this browser offers no WebGPU adapter; use a browser with WebGPU, over https or on localhost', 'device');
  return adapter;
}

/** What the browser's GPU is called. @throws EbbError where there is none */
export async function pageDeviceName(): Promise<string> {
  return adapterName((await pageAdapter()).info) || 'a WebGPU adapter';
}

/** Opens the browser's GPU. @throws EbbError where there is none */
export async function openPageDevice(): Promise<Device> {
  return openAdapter(await pageAdapter());
}

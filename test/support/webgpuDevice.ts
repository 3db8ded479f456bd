/** @file The device of the tests over a GPUDevice that a test has put something between: to count what reaches it, or to let it fail. */

import { chooseAdapter, listAdapters } from '../../src/node/adapter.ts';
import type { Device } from '../../src/runtime/device.ts';
import { adapterProfile } from '../../src/runtime/webgpu/adapterProfile.ts';
import { webgpuDevice } from '../../src/runtime/webgpu/device.ts';
import { requestGpu } from '../../src/runtime/webgpu/request.ts';

/** Opens the device that `openTestDevice` opens. @param between what WebGPU's device becomes */
export async function openBetween(between: (gpu: GPUDevice) => GPUDevice): Promise<Device> {
  const { choice } = chooseAdapter(await listAdapters(), process.env['EBB_DEVICE'] ?? 'auto');
  const adapter = choice.adapter as GPUAdapter;
  const profile = adapterProfile(adapter);
  return webgpuDevice(between(await requestGpu(adapter, profile)), profile);
}

/** @file The device of the tests over a GPUDevice that a test has put something between: to count what reaches it, or to let it fail. */

import { chooseAdapter, listAdapters } from '../../src/node/adapter.ts';
import type { Device } from '../../src/runtime/device.ts';
import { adapterProfile } from '../../src/runtime/webgpu/adapterProfile.ts';
import { requestGpu, webgpuDevice } from '../../src/runtime/webgpu/device.ts';

/** Opens the device that `openTestDevice` opens. @param between what WebGPU's device becomes */
export async function openBetween(between: (gpu: GPUDevice) => GPUDevice): Promise<Device> {
  const { choice } = chooseAdapter(await listAdapters(), process.env['EBB_DEVICE'] ?? 'auto');
  const profile = adapterProfile(choice.adapter);
  return webgpuDevice(between(await requestGpu(choice.adapter, profile)), profile);
}

/** @file A WebGPU device for tests: the best adapter, or the one EBB_ADAPTER names; bounds checks off as in production. An error of
 * the device fails the test that runs. */

import type { DeviceTraits } from '../../src/codegen/kernel/schedule.ts';
import { openDevice } from '../../src/node/adapter.ts';
import { deviceTraits } from '../../src/node/traits.ts';

export interface TestDevice {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
}

export async function openTestDevice(): Promise<TestDevice> {
  const opened = await openDevice({
    onError: (error) =>
      process.nextTick(() => {
        throw error;
      }),
  });
  return { device: opened.device, traits: deviceTraits(opened) };
}

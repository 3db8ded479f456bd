/** @file A device for tests: the best adapter, or the one EBB_DEVICE names; bounds checks off as in production. An error of the device
 * fails the test that runs. */

import { type DeviceTraits, deviceTraits } from '../../src/codegen/kernel/device.ts';
import { type OpenedDevice, openDevice } from '../../src/node/adapter.ts';

export interface TestDevice extends OpenedDevice {
  readonly traits: DeviceTraits;
}

export async function openTestDevice(): Promise<TestDevice> {
  const opened = await openDevice({
    onError: (error) =>
      process.nextTick(() => {
        throw error;
      }),
  });
  return { ...opened, traits: deviceTraits(opened.device) };
}

/** @file A WebGPU device for tests: the best adapter, or the one EBB_ADAPTER names; bounds checks off as in production. An error of
 * the device fails the test that runs. */

import { openDevice } from '../../src/node/adapter.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import { deviceTraits } from '../../src/node/traits.ts';

export type TestDevice = CommandDevice;

export async function openTestDevice(): Promise<TestDevice> {
  const opened = await openDevice({
    onError: (error) =>
      process.nextTick(() => {
        throw error;
      }),
  });
  return { opened, device: opened.device, traits: deviceTraits(opened) };
}

/** @file A device for a command: opened by name, described as the compiler wants it, closed at the end; its errors end the command. */

import type { EbbError } from '../errors.ts';
import { type OpenedDevice, openDevice } from './adapter.ts';
import { deviceTraits, type OpenedTraits } from './traits.ts';

/** What `--adapter` takes for a WebGPU adapter; any other text is looked for in adapters' names. */
export const DEVICE_NAMES: readonly string[] = ['auto', 'gpu', 'lavapipe', 'swiftshader'];

export interface CommandDevice {
  readonly opened: OpenedDevice;
  readonly device: GPUDevice;
  readonly traits: OpenedTraits;
}

/**
 * Opens the adapter called `name` (`auto`: the best there is), hands it to `work` and closes it whatever happens.
 * @throws EbbError as soon as the device reports an error or is lost: what comes after would be wrong
 */
export async function withDevice<T>(name: string, work: (device: CommandDevice) => Promise<T>): Promise<T> {
  let fail: (error: EbbError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const opened = await openDevice({ adapter: name, onError: (error) => fail(error) });
  try {
    return await Promise.race([work({ opened, device: opened.device, traits: deviceTraits(opened) }), failed]);
  } finally {
    opened.close();
  }
}

/** @file A device for a command: opened by name, described as the compiler wants it. */

import { type OpenedDevice, openDevice } from '../node/adapter.ts';
import { deviceTraits } from '../node/traits.ts';
import type { SessionDevice } from '../session.ts';

/** What `--adapter` takes for a WebGPU adapter; any other text is looked for in adapters' names. */
export const DEVICE_NAMES: readonly string[] = ['auto', 'gpu', 'lavapipe', 'swiftshader'];

export interface CommandDevice extends SessionDevice {
  readonly opened: OpenedDevice;
}

/** Opens the adapter called `name` (`auto`: the best there is). */
export async function commandDevice(name: string): Promise<CommandDevice> {
  const opened = await openDevice({ adapter: name });
  return { opened, device: opened.device, traits: deviceTraits(opened) };
}

/** @file A device for a command: opened by name, described as the compiler wants it. */

import { type OpenedDevice, openDevice } from '../node/adapter.ts';
import { deviceTraits } from '../node/traits.ts';
import type { SessionDevice } from '../session.ts';

export interface CommandDevice extends SessionDevice {
  readonly opened: OpenedDevice;
}

/** Opens the adapter called `name` (`auto`: the best there is). */
export async function commandDevice(name: string): Promise<CommandDevice> {
  const opened = await openDevice({ adapter: name });
  return { opened, device: opened.device, traits: deviceTraits(opened) };
}

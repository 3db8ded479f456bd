/** @file How a function of the library gets its device: by name, opened for the call, or as one that is open. */

import { type CommandDevice, type HeldDevice, holdDevice, withDevice } from '../node/device.ts';
import { tell, type Watch } from '../run/progress.ts';

/** Where a function of the library computes. */
export interface OnDevice {
  /** A device of this machine (`auto`, `gpu`, `lavapipe`, `swiftshader`, or part of its name), or one that `openDevice` opened. Default `auto`. */
  readonly device?: string | CommandDevice | undefined;
}

/** Holds a device. One that was handed over stays open, and whoever opened it hears of its errors; one that is named is opened, and closed by `close`. @throws EbbError as `openDevice` does */
export async function holdOn(device: OnDevice['device'], watch: Watch): Promise<HeldDevice> {
  return typeof device === 'object' ? { device, guard: (work) => work, close: () => {} } : holdDevice(device, { onNote: (note) => tell(watch, note) });
}

/** Runs `work` on a device. One that is named is opened for it, and closed whatever happens. @throws EbbError as `withDevice` does */
export function onDevice<T>(device: OnDevice['device'], watch: Watch, work: (device: CommandDevice) => Promise<T>): Promise<T> {
  return typeof device === 'object' ? work(device) : withDevice(device, work, { onNote: (note) => tell(watch, note) });
}

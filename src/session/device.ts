/** @file How a function of the library gets its device: by name, opened for the call, or as one that is open. */

import { type CommandDevice, type HeldDevice, holdDevice } from '../node/device.ts';
import { during, tell, type Watch } from '../run/progress.ts';

/** Where a function of the library computes. */
export interface OnDevice {
  /** A device of this machine (`auto`, `gpu`, `lavapipe`, `swiftshader`, or part of its name), or one that `openDevice` opened. Default `auto`. */
  readonly device?: string | CommandDevice | undefined;
}

const OPENING = 'opening the device';

/** Holds a device. One that was handed over stays open, and whoever opened it hears of its errors; one that is named is opened, and closed by `close`. @throws EbbError as `openDevice` does */
export async function holdOn(device: OnDevice['device'], watch: Watch): Promise<HeldDevice> {
  if (typeof device === 'object') return { device, guard: (work) => work, close: () => {} };
  return during(watch, OPENING, () => holdDevice(device, { onNote: (note) => tell(watch, note) }));
}

/** Runs `work` on a device. One that is named is opened for it, and closed whatever happens. @throws EbbError as `withDevice` does */
export async function onDevice<T>(device: OnDevice['device'], watch: Watch, work: (device: CommandDevice) => Promise<T>): Promise<T> {
  const held = await holdOn(device, watch);
  try {
    return await held.guard(work(held.device));
  } finally {
    held.close();
  }
}

/** @file A device for a command: opened by name, and closed at the end; its errors end the command. */

import { setTimeout } from 'node:timers/promises';
import { EbbError } from '../errors.ts';
import { type OpenedDevice, openDevice } from './adapter.ts';

/** How long the loss of a device may take to be told after a call that failed for it. */
const LOSS_TOLD_MS = 200;

/** A device of this machine, as commands get it. */
export type CommandDevice = Omit<OpenedDevice, 'close'>;

/** A device that is held open. */
export interface HeldDevice {
  readonly device: CommandDevice;
  /** Waits for work on the device. @throws EbbError as soon as the device reports an error or is lost: what comes after would be wrong */
  guard<T>(work: Promise<T>): Promise<T>;
  close(): void;
}

/** How a device is opened. */
export interface HoldOptions {
  /** Opens it; default `openDevice`. */
  readonly open?: typeof openDevice;
  /** Is told of names that changed since an earlier version. */
  readonly onNote?: (text: string) => void;
}

/** Opens the device called `name` (default: as `openDevice`) and holds it. */
export async function holdDevice(name: string | undefined, { open = openDevice, onNote }: HoldOptions = {}): Promise<HeldDevice> {
  let fail: (error: EbbError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  // whoever waits for no work at the time hears of it with the next
  failed.catch(() => {});
  const opened = await open({ device: name, onError: (error) => fail(error), ...(onNote ? { onNote } : {}) });
  return {
    device: opened,
    async guard(work) {
      try {
        return await Promise.race([work, failed]);
      } catch (error) {
        if (error instanceof EbbError) throw error;
        // calls that a lost device leaves unfinished may fail before the loss itself is told
        await Promise.race([failed, setTimeout(LOSS_TOLD_MS)]);
        throw error;
      }
    },
    close: () => opened.close(),
  };
}

/**
 * Opens the device called `name` (default: as `openDevice`), hands it to `work` and closes it whatever happens.
 * @throws EbbError as soon as the device reports an error or is lost: what comes after would be wrong
 */
export async function withDevice<T>(name: string | undefined, work: (device: CommandDevice) => Promise<T>, options: HoldOptions = {}): Promise<T> {
  const { device, guard, close } = await holdDevice(name, options);
  try {
    return await guard(work(device));
  } finally {
    close();
  }
}

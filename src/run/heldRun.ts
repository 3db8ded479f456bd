/** @file A run on a device that is held for it: no call of the run waits for work that a failed device never ends. */

import type { CommandDevice, HeldDevice } from '../node/device.ts';
import type { OpenRun } from './openRun.ts';

/** The steps of a run, each waited for as `guard` waits. Whoever leaves the loop early waits for those that were begun. */
async function* guarded<T>(steps: AsyncGenerator<T, void>, guard: HeldDevice['guard']): AsyncGenerator<T, void> {
  let given = false;
  try {
    for (;;) {
      const next = await guard(steps.next());
      if (next.done === true) return;
      given = true;
      yield next.value;
      given = false;
    }
  } finally {
    // a step that failed may never end, so it is not waited for
    if (given) await guard(steps.return());
  }
}

/** Opens a run on a device, which is closed with the run, or where it cannot be opened. @throws EbbError as `open` does, and where the device fails */
export async function openHeld({ device, guard, close }: HeldDevice, open: (device: CommandDevice) => Promise<OpenRun>): Promise<OpenRun> {
  try {
    const run = await guard(open(device));
    return {
      ...run,
      steps: (batches, options) => guarded(run.steps(batches, options), guard),
      read: (parameter) => guard(run.read(parameter)),
      evaluate: (data) => guard(run.evaluate(data)),
      save: () => guard(run.save()),
      close() {
        run.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

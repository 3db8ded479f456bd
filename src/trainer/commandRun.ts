/** @file A run as a command: its device, the live line, Ctrl-C, the report. */

import { type CommandDevice, withDevice } from '../node/device.ts';
import type { TrainHooks, TrainReport } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { stepPrinter } from '../terminal/progress.ts';

/** Opens the device and trains; the first Ctrl-C ends the run after its step, with a checkpoint. @throws EbbError */
export async function commandRun(
  deviceName: string,
  { resume = false, json = false }: { readonly resume?: boolean; readonly json?: boolean },
  train: (device: CommandDevice, hooks: TrainHooks) => Promise<TrainReport>,
): Promise<void> {
  let stopping = false;
  process.once('SIGINT', () => {
    stopping = true;
    say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
  });
  await withDevice(deviceName, async (device) => {
    const printer = stepPrinter();
    const report = await train(device, { say: printer.say, onStep: printer.step, onEvaluate: printer.evaluate, stop: () => stopping, resume });
    printer.end();
    print(json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
  });
}

/** @file A run as a command: its device, the live line, Ctrl-C, the report. */

import { type CommandDevice, withDevice } from '../node/device.ts';
import type { TrainHooks, TrainReport } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { progressPrinter } from '../terminal/progress.ts';

/** Opens the device and trains; the first Ctrl-C ends the run after its step, with a checkpoint. @throws EbbError */
export async function commandRun(
  deviceName: string,
  { resume = false, json = false }: { readonly resume?: boolean; readonly json?: boolean },
  train: (device: CommandDevice, hooks: TrainHooks) => Promise<TrainReport>,
): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGINT', () => {
    stopping.abort();
    say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
  });
  await withDevice(deviceName, async (device) => {
    const printer = progressPrinter();
    const report = await train(device, { onProgress: printer.onProgress, signal: stopping.signal, resume });
    printer.end();
    print(json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
  });
}

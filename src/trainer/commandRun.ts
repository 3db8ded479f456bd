/** @file A run as a command: the live line, Ctrl-C, the report. */

import type { GoingOn, TrainReport } from '../run/openRun.ts';
import type { TrainHooks } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { progressPrinter } from '../terminal/progress.ts';

/** Signals that end a run after its step, and the exit codes that shells know them by. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** What a command line says of a run that goes on, and of its result. */
interface RunCommandFlags extends GoingOn {
  readonly json?: boolean;
}

/** Trains; the first Ctrl-C, or SIGTERM, ends the run after its step, with a checkpoint, and the second one at once. @throws EbbError */
export async function commandRun({ resume, accept, extend, json = false }: RunCommandFlags, train: (hooks: TrainHooks) => Promise<TrainReport>): Promise<void> {
  const stopping = new AbortController();
  let code = 0;
  const listeners = Object.entries(SIGNALS).map(([name, exitCode]) => {
    const stop = (): void => {
      code = exitCode;
      // the next one does what signals do
      for (const { signal, stop: listener } of listeners) process.off(signal, listener);
      stopping.abort();
      say(`stopping after this step, with a checkpoint that --resume goes on from (${name === 'SIGINT' ? 'Ctrl-C' : name} again ends at once)`);
    };
    return { signal: name, stop };
  });
  for (const { signal, stop } of listeners) process.on(signal, stop);
  const printer = progressPrinter();
  const report = await train({ onProgress: printer.onProgress, signal: stopping.signal, resume, accept, extend }).catch((error: unknown) => {
    if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
    return null;
  });
  printer.end();
  if (code !== 0 && (report === null || report.interrupted)) process.exitCode = code;
  if (report === null) return say('stopped before the first step; nothing was trained');
  const how = report.interrupted ? 'stopped' : report.endedEarly ? 'ended early' : 'done';
  print(json ? JSON.stringify(report) : `${how} after ${report.steps} steps: ${report.out}`);
}

/** @file A run as a command: the live line, Ctrl-C, the report. */

import type { TrainReport } from '../run/openRun.ts';
import type { TrainHooks } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { progressPrinter } from '../terminal/progress.ts';

/** The exit code of a run that Ctrl-C ended, as shells know it. */
const INTERRUPTED = 130;

/** Trains; the first Ctrl-C ends the run after its step, with a checkpoint. @throws EbbError */
export async function commandRun(
  { resume = false, json = false }: { readonly resume?: boolean; readonly json?: boolean },
  train: (hooks: TrainHooks) => Promise<TrainReport>,
): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGINT', () => {
    stopping.abort();
    say('stopping after this step; the checkpoint resumes with --resume (Ctrl-C again ends at once)');
  });
  const printer = progressPrinter();
  const report = await train({ onProgress: printer.onProgress, signal: stopping.signal, resume }).catch((error: unknown) => {
    if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
    return null;
  });
  printer.end();
  if (report === null || report.interrupted) process.exitCode = INTERRUPTED;
  if (report === null) return say('stopped before the first step; nothing was trained');
  print(json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
}

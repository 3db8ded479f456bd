/** @file A run as a command: the live line, Ctrl-C, the report. */

import type { TrainReport } from '../run/openRun.ts';
import { tell } from '../run/progress.ts';
import type { TrainHooks } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { type ProgressPrinter, progressPrinter } from '../terminal/progress.ts';

/** The exit code of a run that Ctrl-C ended, as shells know it. */
const INTERRUPTED = 130;

/**
 * Trains; the first Ctrl-C ends the run after its step, with a checkpoint, and a second one ends the process.
 * @throws EbbError
 */
export async function commandRun(
  { resume = false, json = false }: { readonly resume?: boolean; readonly json?: boolean },
  train: (hooks: TrainHooks) => Promise<TrainReport>,
): Promise<void> {
  const printer = progressPrinter();
  const stopping = stopOnInterrupt(printer);
  try {
    const report = await train({ onProgress: printer.onProgress, signal: stopping.signal, resume }).catch((error: unknown) => {
      if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
      return null;
    });
    printer.end();
    if (report === null || report.interrupted) process.exitCode = INTERRUPTED;
    if (report === null) return say('stopped before the first step; nothing was trained');
    print(json ? JSON.stringify(report) : `${report.interrupted ? 'stopped' : 'done'} after ${report.steps} steps: ${report.out}`);
  } finally {
    printer.end();
    stopping.release();
  }
}

/** Ctrl-C as the end of a run. Its notice is a line of its own, and nothing of the line of status is left behind when the process ends at once. */
function stopOnInterrupt(printer: ProgressPrinter): { readonly signal: AbortSignal; readonly release: () => void } {
  const stopping = new AbortController();
  const end = (): void => {
    printer.end();
    // nobody listens any more, so the signal does what it does to any program
    process.kill(process.pid, 'SIGINT');
  };
  const stop = (): void => {
    process.once('SIGINT', end);
    stopping.abort();
    tell(printer, 'stopping after this step; --resume goes on from it (Ctrl-C again ends at once)');
  };
  process.once('SIGINT', stop);
  return {
    signal: stopping.signal,
    release() {
      process.off('SIGINT', stop);
      process.off('SIGINT', end);
    },
  };
}

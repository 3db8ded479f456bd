/** @file A run as a command: the live line, Ctrl-C, the report. */

import type { GoingOn, TrainReport } from '../run/openRun.ts';
import { tell } from '../run/progress.ts';
import type { TrainHooks } from '../run/run.ts';
import { print, say } from '../terminal/options.ts';
import { type ProgressPrinter, progressPrinter } from '../terminal/progress.ts';

/** Signals that end a run after its step, and the exit codes that shells know them by. */
const SIGNALS = [
  { name: 'SIGINT', exitCode: 130, called: 'Ctrl-C' },
  { name: 'SIGTERM', exitCode: 143, called: 'SIGTERM' },
  // a terminal was closed, or a connection lost
  { name: 'SIGHUP', exitCode: 129, called: 'SIGHUP' },
] as const;

/** What a command line says of a run that goes on, and of its result. */
interface RunCommandFlags extends GoingOn {
  readonly json?: boolean;
}

/**
 * Trains; the first Ctrl-C, or SIGTERM, ends the run after its step, with a checkpoint, and a second one ends the process.
 * @throws EbbError
 */
export async function commandRun({ resume, accept, extend, json = false }: RunCommandFlags, train: (hooks: TrainHooks) => Promise<TrainReport>): Promise<void> {
  const printer = progressPrinter();
  const stopping = stopOnSignals(printer);
  try {
    const report = await train({ onProgress: printer.onProgress, signal: stopping.signal, resume, accept, extend }).catch((error: unknown) => {
      if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
      return null;
    });
    printer.end();
    if (report === null || report.interrupted) process.exitCode = stopping.exitCode();
    if (report === null) return say('stopped before the first step; nothing was trained');
    const how = report.interrupted ? 'stopped' : report.endedEarly ? 'ended early' : 'done';
    print(json ? JSON.stringify(report) : `${how} after ${report.steps} steps: ${report.out}`);
  } finally {
    printer.end();
    stopping.release();
  }
}

/** How a run is ended by signals. */
interface Stopping {
  readonly signal: AbortSignal;
  /** Of a process that the first signal ended. */
  exitCode(): number;
  /** Lets signals do what they do to any program. */
  release(): void;
}

/** Signals as the end of a run. The notice is a line of its own, and nothing of the line of status is left behind when the process ends at once. */
function stopOnSignals(printer: ProgressPrinter): Stopping {
  const stopping = new AbortController();
  let code = 0;
  const listeners = SIGNALS.map(({ name, exitCode, called }) => ({
    name,
    listen(): void {
      if (code !== 0) {
        printer.end();
        release();
        process.kill(process.pid, name);
        return;
      }
      code = exitCode;
      stopping.abort();
      tell(printer, `stopping after this step; --resume goes on from it (${called} again ends at once)`);
    },
  }));
  const release = (): void => {
    for (const { name, listen } of listeners) process.off(name, listen);
  };
  for (const { name, listen } of listeners) process.on(name, listen);
  return { signal: stopping.signal, exitCode: () => code, release };
}

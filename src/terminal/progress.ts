/** @file Shows the progress of a run: a bar on a terminal, plain lines elsewhere. */

import cliProgress from 'cli-progress';
import { droppedShare } from '../run/droppedShare.ts';
import type { PiecesProgress, Progress, Watch } from '../run/progress.ts';

/** Shows on stderr what work tells. */
export interface ProgressPrinter {
  /** Shows what is told. */
  readonly onProgress: (progress: Progress) => void;
  /** Ends a bar that is shown. */
  end(): void;
}

/** Without a terminal lines of steps, and of other work, are written at most this often. */
const PLAIN_EVERY_MS = 2000;
const PIECES_EVERY_MS = 10000;

/** What a bar says besides its count. */
type Values = Readonly<Record<string, string>>;

const makeBar = (format: string): cliProgress.SingleBar | null =>
  process.stderr.isTTY === true ? new cliProgress.SingleBar({ format, stream: process.stderr }, cliProgress.Presets.shades_classic) : null;

interface PlainLines {
  readonly line: (done: number, total: number, values: Values) => string;
  readonly everyMs: number;
  /** Whether the first and the last count are written as well. */
  readonly ends: boolean;
}

/** Shows one kind of work: a bar on a terminal, plain lines elsewhere. */
function barPrinter(format: string, { line, everyMs, ends }: PlainLines) {
  const bar = makeBar(format);
  let started = false;
  let lastPlain = ends ? Number.NEGATIVE_INFINITY : performance.now();
  return {
    at(done: number, total: number, values: Values = {}): void {
      if (bar) {
        if (!started) bar.start(total, done, values);
        started = true;
        bar.update(done, values);
        return;
      }
      const now = performance.now();
      if (done === total ? !ends : now - lastPlain < everyMs) return;
      lastPlain = now;
      process.stderr.write(`${line(done, total, values)}\n`);
    },
    end(): void {
      if (started) bar?.stop();
      started = false;
    },
  };
}
type BarPrinter = ReturnType<typeof barPrinter>;

const stepsPrinter = (): BarPrinter =>
  barPrinter('{bar} {value}/{total}  loss {loss}  {speed} tok/s  backward dropped {dropped} %  eta {eta_formatted}', {
    line: (done, total, { loss, speed, dropped }) => `step ${done}/${total}  loss ${loss}  ${speed} tok/s  backward dropped ${dropped} %`,
    everyMs: PLAIN_EVERY_MS,
    ends: true,
  });

const piecesPrinter = (what: string): BarPrinter =>
  barPrinter(`${what} {bar} {value}/{total}  eta {eta_formatted}`, {
    line: (done, total) => `${what} ${done}/${total}`,
    everyMs: PIECES_EVERY_MS,
    ends: false,
  });

const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20);

/** Creates the display of work on stderr. */
export function progressPrinter(): ProgressPrinter {
  const steps = stepsPrinter();
  let other: { readonly what: string; readonly printer: BarPrinter } | null = null;
  const endOther = (): void => {
    other?.printer.end();
    other = null;
  };
  const showPieces = ({ what, unit, done, total }: PiecesProgress): void => {
    steps.end();
    if (other?.what !== what) {
      endOther();
      other = { what, printer: piecesPrinter(unit === 'bytes' ? `${what}, MiB` : what) };
      if (unit === 'bytes' && process.stderr.isTTY !== true) process.stderr.write(`${what}, ${mebibytes(total)} MiB\n`);
    }
    const size = unit === 'bytes' ? mebibytes : (count: number): number => count;
    other.printer.at(size(done), size(total));
    if (done >= total) endOther();
  };
  return {
    onProgress(progress) {
      if (progress.kind === 'pieces') return showPieces(progress);
      // the note beside it says as much
      if (progress.kind === 'measured') return;
      endOther();
      if (progress.kind === 'note') {
        steps.end();
        process.stderr.write(`${progress.text}\n`);
        return;
      }
      const { metrics, steps: total, units } = progress;
      const { step, loss, tokens, ms } = metrics;
      const speed = ((1000 * tokens) / Math.max(ms, 1e-3)).toFixed(0);
      steps.at(step, total, { loss: loss.toFixed(4), speed, dropped: (100 * droppedShare(metrics, units)).toFixed(0) });
    },
    end() {
      endOther();
      steps.end();
    },
  };
}

/** Runs work whose progress is shown on stderr. */
export async function withProgress<T>(work: (watch: Watch) => Promise<T>): Promise<T> {
  const printer = progressPrinter();
  try {
    return await work({ onProgress: printer.onProgress });
  } finally {
    printer.end();
  }
}

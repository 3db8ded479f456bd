/** @file Shows the progress of a run: a bar on a terminal, plain lines elsewhere. */

import cliProgress from 'cli-progress';
import type { StepMetrics } from '../train/loop.ts';

/** Shows the progress of a run. */
export interface StepPrinter {
  /** Shows a step. @param total steps of the run @param units units of the model */
  step(metrics: StepMetrics, total: number, units: number): void;
  /** Shows how many held-out batches are evaluated, between steps. */
  evaluate(done: number, total: number): void;
  /** Writes a line of its own. */
  say(line: string): void;
  end(): void;
}

/** The share of units whose backward a step left out, in per cent over its micro-batches. */
export function droppedShare(metrics: StepMetrics, units: number): number {
  const dropped = [...metrics.dropped, ...(metrics.skipped ?? [])].reduce((n, list) => n + list.length, 0);
  return units === 0 ? 0 : (100 * dropped) / (units * Math.max(1, metrics.dropped.length));
}

/** Without a terminal a line is written at most this often. */
const PLAIN_EVERY_MS = 2000;

/** Creates the display of a run on stderr. */
export function stepPrinter(): StepPrinter {
  const terminal = process.stderr.isTTY === true;
  const bar = terminal
    ? new cliProgress.SingleBar(
        { format: '{bar} {value}/{total}  loss {loss}  {speed} tok/s  backward dropped {dropped} %  eta {eta_formatted}', stream: process.stderr },
        cliProgress.Presets.shades_classic,
      )
    : null;
  const held = piecePrinter('held-out evaluation');
  let started = false;
  let lastPlain = 0;
  const pause = (): void => {
    if (bar && started) bar.stop();
    started = false;
  };
  return {
    step(m, total, units) {
      const values = { loss: m.loss.toFixed(4), speed: ((1000 * m.tokens) / Math.max(m.ms, 1e-3)).toFixed(0), dropped: droppedShare(m, units).toFixed(0) };
      if (bar) {
        if (!started) bar.start(total, m.step, values);
        started = true;
        bar.update(m.step + 1, values);
        return;
      }
      const now = performance.now();
      if (m.step + 1 < total && now - lastPlain < PLAIN_EVERY_MS) return;
      lastPlain = now;
      process.stderr.write(`step ${m.step + 1}/${total}  loss ${values.loss}  ${values.speed} tok/s  backward dropped ${values.dropped} %\n`);
    },
    evaluate(done, total) {
      pause();
      held.at(done, total);
      if (done === total) held.end();
    },
    say(line) {
      pause();
      process.stderr.write(`${line}\n`);
    },
    end: pause,
  };
}

/** Shows the progress of work in equal pieces on stderr: a bar on a terminal, a line every few seconds elsewhere. */
export function piecePrinter(what: string): { at(done: number, total: number): void; end(): void } {
  const bar =
    process.stderr.isTTY === true
      ? new cliProgress.SingleBar({ format: `${what} {bar} {value}/{total}  eta {eta_formatted}`, stream: process.stderr }, cliProgress.Presets.shades_classic)
      : null;
  let started = false;
  let lastPlain = performance.now();
  return {
    at(done, total) {
      if (bar) {
        if (!started) bar.start(total, done);
        started = true;
        bar.update(done);
        return;
      }
      const now = performance.now();
      if (done === total || now - lastPlain < 5 * PLAIN_EVERY_MS) return;
      lastPlain = now;
      process.stderr.write(`${what} ${done}/${total}\n`);
    },
    end() {
      if (started) bar?.stop();
      started = false;
      lastPlain = performance.now();
    },
  };
}

/** Shows the progress of downloads that follow each other: a bar for each file on a terminal; elsewhere a line when a file begins, and one every few seconds. */
export function downloadPrinter(): (file: string, doneBytes: number, totalBytes: number) => void {
  let current = '';
  let pieces = piecePrinter('');
  return (file, done, total) => {
    const mebi = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
    if (file !== current) {
      pieces.end();
      current = file;
      pieces = piecePrinter(`downloading ${file}, MiB`);
      if (process.stderr.isTTY !== true) process.stderr.write(`downloading ${file}, ${mebi(total)} MiB\n`);
    }
    pieces.at(mebi(done), mebi(total));
    if (done >= total) pieces.end();
  };
}

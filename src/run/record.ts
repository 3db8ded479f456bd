/** @file What a run records of itself while it goes on: metrics.jsonl, and the same numbers for TensorBoard. */

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EVENT_FILE, type EventContent, eventBytes } from '../formats/tfevents.ts';
import type { StepMetrics } from '../train/loop.ts';
import { droppedShare } from './droppedShare.ts';
import { growingFile } from './growingFile.ts';
import { type HeldOutMetrics, lineBytes, METRICS, readMetrics } from './metrics.ts';

/** The record of a run that is open. Nothing here ends a run: what cannot be written is kept, and said. */
export interface RunRecord {
  /** The loss of the last step; NaN before the first one. */
  lastLoss(): number;
  /** Writes the line of a step. */
  step(metrics: StepMetrics): void;
  /** Writes a held-out loss. One that is recorded already, as by the run before a resume, is not written again. */
  heldOut(metrics: HeldOutMetrics): void;
  /** The held-out losses so far, in order. */
  heldOutLosses(): readonly HeldOutMetrics[];
  /** Tries a last time to write what could not be written, and says what is lost. */
  end(): void;
}

/** Ours end so: a folder may hold those of others. */
const OWN_EVENTS = /^events\.out\.tfevents\.\d+\.ebb$/;

/** Removes the record of a run that starts over. */
export function removeRecord(folder: string): void {
  rmSync(join(folder, METRICS), { force: true });
  for (const name of readdirSync(folder)) if (OWN_EVENTS.test(name)) rmSync(join(folder, name), { force: true });
}

/**
 * A name after those of all earlier files, as TensorBoard reads them in the order of their names: the run that goes on says from which step.
 */
function eventsFile(folder: string, seconds: number): string {
  const name = (at: number): string => join(folder, `${EVENT_FILE}${at}.ebb`);
  let at = seconds;
  while (existsSync(name(at))) at++;
  return name(at);
}

/** The numbers of a step by their names in TensorBoard, which are those that other trainers use where they have them. */
const scalarsOf = ({ loss, lr, gradNorm, tokens, ms, peakBytes, ...drawn }: StepMetrics, units: number): Readonly<Record<string, number>> => ({
  'train/loss': loss,
  'train/learning_rate': lr,
  'train/grad_norm': gradNorm,
  'train/dropped_share': droppedShare(drawn, units),
  'train/tokens_per_second': (1000 * tokens) / Math.max(ms, 1e-3),
  'train/activation_bytes': peakBytes,
});

/**
 * Opens the record of a run whose folder is there.
 * @param done the steps that are done already
 * @param units residual branches that a step may drop
 * @param say is told what cannot be written
 * @throws EbbError where metrics that are there cannot be read
 */
export function openRecord(folder: string, done: number, units: number, say: (text: string) => void): RunRecord {
  const before = existsSync(join(folder, METRICS)) ? readMetrics(folder) : { steps: [], heldOut: [] };
  let loss = before.steps.at(-1)?.loss ?? Number.NaN;
  const losses = [...before.heldOut];
  const now = (): number => Date.now() / 1000;
  const metrics = growingFile(join(folder, METRICS), 'lines', say);
  const events = growingFile(eventsFile(folder, Math.floor(now())), 'events', say);
  const tell = (step: number, content: EventContent): void => events.append(eventBytes({ time: now(), step, content }));
  tell(0, { kind: 'version' });
  tell(done === 0 ? 0 : done + 1, { kind: 'start' });
  return {
    lastLoss: () => loss,
    step(line) {
      loss = line.loss;
      metrics.append(lineBytes(line));
      tell(line.step, { kind: 'scalars', values: scalarsOf(line, units) });
    },
    heldOut(line) {
      const last = losses.at(-1);
      if (last?.step === line.step && Object.is(last.heldOut, line.heldOut)) return;
      if (last?.step === line.step) losses.pop();
      losses.push(line);
      metrics.append(lineBytes(line));
      tell(line.step, { kind: 'scalars', values: { 'eval/loss': line.heldOut } });
    },
    heldOutLosses: () => losses,
    end() {
      metrics.end();
      events.end();
    },
  };
}

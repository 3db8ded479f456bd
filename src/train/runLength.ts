/** @file How long a run is: its optimizer steps and the micro-batches of all of them. */

import type { RunConfig } from './config.ts';

/** The steps of a run. */
export interface RunLength {
  readonly steps: number;
  /** Of the whole run. The last step may have fewer than the others. */
  readonly microBatches: number;
}

/** The length of `epochs` over an epoch of `count` micro-batches: every one of them that often. */
function lengthOfEpochs(epochs: number, count: number, accumulate: number): RunLength {
  // 0.1 · 30 is a little more than 3 in binary
  const microBatches = Math.max(1, Math.ceil(Number((epochs * count).toPrecision(12))));
  return { steps: Math.ceil(microBatches / accumulate), microBatches };
}

/** Whether the length of a run follows from its steps alone, whatever its data holds. */
export const isOfSteps = ({ steps, epochs }: Pick<RunConfig, 'steps' | 'epochs'>): boolean => steps !== undefined && epochs === undefined;

/**
 * The length of a run: its steps, or else its epochs, one where neither is given. A run folder names both; where they agree, the run ends with
 * its last epoch.
 * @param count micro-batches in an epoch
 */
export function runLength({ steps, epochs, accumulate }: Pick<RunConfig, 'steps' | 'epochs' | 'accumulate'>, count: number): RunLength {
  const whole = lengthOfEpochs(epochs ?? 1, count, accumulate);
  if (steps === undefined || (epochs !== undefined && steps === whole.steps)) return whole;
  return { steps, microBatches: steps * accumulate };
}

/** What is to be said of epochs that are given beside other steps; nothing where they agree. */
export function lengthNotes(config: Pick<RunConfig, 'steps' | 'epochs' | 'accumulate'>, count: number): readonly string[] {
  const { steps, epochs, accumulate } = config;
  if (steps === undefined || epochs === undefined || lengthOfEpochs(epochs, count, accumulate).steps === steps) return [];
  return [`steps (${steps}) are given, so epochs (${epochs}) changes nothing`];
}

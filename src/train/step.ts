/** @file The micro-batches of a step: batches, patterns as they were drawn, and the scalars that both decide. */

import type { Draw } from '../dropbp/plans/index.ts';
import { hash } from '../dropbp/random.ts';
import { at, EbbError } from '../errors.ts';
import type { Engine, MicroBatch } from '../runtime/execute.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import type { Batch, BatchSource } from './batches.ts';
import type { RunConfig } from './config.ts';
import { drawPattern } from './patterns.ts';

/** What a step's micro-batches are made from. */
export interface StepSource {
  readonly engine: Pick<Engine, 'program'>;
  readonly config: Pick<RunConfig, 'accumulate' | 'seed' | 'allDropped' | 'lossOver'>;
  readonly batches: Pick<BatchSource, 'at' | 'recordsOf'>;
}

/** The seed of what is random in a call's forward. */
export function siteSeed({ engine, config }: Pick<StepSource, 'engine' | 'config'>, step: number, micro: number, site: string): number {
  return hash(
    config.seed,
    3,
    step,
    micro,
    engine.program.calls.findIndex((c) => c.site === site),
  );
}

/** What the loss of a step is a mean over. */
export type LossOver = NonNullable<RunConfig['lossOver']>;

/** What it is where a run does not say. */
export const USUAL_LOSS_OVER: LossOver = 'tokens';

/**
 * The share of each batch's loss in a mean over all of them: of the targets that it counts, or each batch alike. Where nothing counts, each alike.
 * @throws EbbError for a batch that does not say how many targets count
 */
export function lossShares(lossOver: RunConfig['lossOver'], batches: readonly Pick<Batch, 'counted'>[]): readonly number[] {
  const alike = batches.map(() => 1 / batches.length);
  if ((lossOver ?? USUAL_LOSS_OVER) === 'microBatches') return alike;
  const total = batches.reduce((sum, { counted }) => sum + counted, 0);
  if (Number.isNaN(total) || total < 0) throw new EbbError('a batch has no number `counted`, expected how many of its targets count in the loss', 'input');
  return total === 0 ? alike : batches.map(({ counted }) => counted / total);
}

/** The micro-batches of a step. */
export interface StepMicros {
  readonly micros: readonly MicroBatch[];
  /** Of all of them, without padding. */
  readonly tokens: number;
  /** The share of each one's loss in that of the step. */
  readonly shares: readonly number[];
}

/**
 * The micro-batches of step `step`, one for each draw; what is random in forward depends on seed, step and micro-batch
 * alone. One whose backward is skipped has its share of the step's loss all the same.
 * @param fitted the pattern as it is to run, of a pattern as it was drawn
 */
export function stepMicros(source: StepSource, step: number, draws: readonly Draw[], fitted: (pattern: Pattern) => Pattern = (pattern) => pattern): StepMicros {
  const { engine, config, batches } = source;
  const { accumulate, allDropped, lossOver } = config;
  const units = engine.program.calls.filter((c) => c.unit).length;
  const given = draws.map((_, micro) => batches.at(step * accumulate + micro));
  const shares = lossShares(lossOver, given);
  const micros = draws.map((draw, micro): MicroBatch => {
    const { sizes, inputs } = at(given, micro);
    const { weights, scales } = draw;
    const scalar = (name: string, site: string): number => {
      if (name === 'loss_scale') return at(shares, micro);
      if (name === 'branch_weight') return weights?.get(site) ?? 1;
      if (name === 'branch_scale') return scales?.get(site) ?? 1;
      return name === 'seed' ? siteSeed(source, step, micro, site) : 0;
    };
    const made: MicroBatch = { sizes, inputs, pattern: fitted(drawPattern(draw)), scalar };
    return skipsBackward(allDropped, draw, units) ? { ...made, forwardOnly: true } : made;
  });
  return { micros, tokens: given.reduce((sum, { tokens }) => sum + tokens, 0), shares };
}

/** Whether a micro-batch runs forward alone, because all units are dropped in it. */
export function skipsBackward(allDropped: RunConfig['allDropped'], { dropped, skipped = [] }: Draw, units: number): boolean {
  return allDropped === 'skip' && units > 0 && dropped.length + skipped.length === units;
}

/** @file The micro-batches of a step: batches, patterns as they were drawn, and the scalars that both decide. */

import type { Draw } from '../dropbp/plans/index.ts';
import { hash } from '../dropbp/random.ts';
import type { Engine, MicroBatch } from '../runtime/execute.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import type { BatchSource } from './batches.ts';
import type { RunConfig } from './config.ts';
import { drawPattern } from './patterns.ts';

/** What a step's micro-batches are made from. */
export interface StepSource {
  readonly engine: Pick<Engine, 'program'>;
  readonly config: Pick<RunConfig, 'accumulate' | 'seed' | 'allDropped'>;
  readonly batches: Pick<BatchSource, 'at'>;
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

/**
 * The micro-batches of step `step`, one for each draw, and their tokens; what is random in forward depends on seed, step and micro-batch
 * alone. @param fitted the pattern as it is to run, of a pattern as it was drawn
 */
export function stepMicros(
  source: StepSource,
  step: number,
  draws: readonly Draw[],
  fitted: (pattern: Pattern) => Pattern = (pattern) => pattern,
): { readonly micros: readonly MicroBatch[]; readonly tokens: number } {
  const { engine, config, batches } = source;
  const { accumulate, allDropped } = config;
  const units = engine.program.calls.filter((c) => c.unit).length;
  let tokens = 0;
  const micros = draws.map((draw, micro): MicroBatch => {
    const batch = batches.at(step * accumulate + micro);
    tokens += batch.tokens;
    const { dropped, skipped = [], weights, scales } = draw;
    const scalar = (name: string, site: string): number => {
      if (name === 'loss_scale') return 1 / accumulate;
      if (name === 'branch_weight') return weights?.get(site) ?? 1;
      if (name === 'branch_scale') return scales?.get(site) ?? 1;
      return name === 'seed' ? siteSeed(source, step, micro, site) : 0;
    };
    const made: MicroBatch = { sizes: batch.sizes, inputs: batch.inputs, pattern: fitted(drawPattern(draw)), scalar };
    return allDropped === 'skip' && units > 0 && dropped.length + skipped.length === units ? { ...made, forwardOnly: true } : made;
  });
  return { micros, tokens };
}

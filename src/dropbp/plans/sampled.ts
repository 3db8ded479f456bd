/** @file What plans with drop rates share: their keys, and the draw from rates by a sampler, with or without weights. */

import { choice, flag, withDefault } from '../fields.ts';
import { drawStream } from '../random.ts';
import { SAMPLERS, type SamplerName } from '../sampling/index.ts';
import { inverseWeights, meanPairBias } from '../weights.ts';
import type { Draw, Moment, PlanModel } from './plan.ts';

const NAMES = Object.keys(SAMPLERS) as SamplerName[];

export const sampledFields = {
  /** How units are drawn from their rates. */
  sampling: withDefault(choice(NAMES), 'bernoulli'),
  /** Whether a kept branch's cotangent is multiplied by 1/(1−its rate). */
  weights: withDefault(flag, false),
} as const;

interface Sampled {
  readonly rates: readonly number[];
  /** Share of the units that `official` tops up to. */
  readonly share: number;
  readonly sampling: SamplerName;
  readonly weights: boolean;
}

/** A draw from rates. @throws EbbError for weights with a rate of 1 */
export function sampled({ units, costs }: PlanModel, { rates, share, sampling, weights }: Sampled): (moment: Moment) => Draw {
  const weighing = weights ? { weights: new Map(inverseWeights(rates).map((w, i): [string, number] => [units[i] ?? '', w])) } : {};
  return ({ seed, step, micro }) => {
    const dropped = SAMPLERS[sampling]({ rates, costs, share, random: drawStream(seed, step, micro) });
    return { dropped: units.filter((_, i) => dropped[i]), ...weighing };
  };
}

/** What weights leave to be said: by how much they miss where draws depend on each other. */
export function biasNotes({ costs }: PlanModel, { rates, share, sampling, weights }: Sampled): string[] {
  if (!weights || sampling === 'bernoulli') return [];
  const bias = 100 * meanPairBias(SAMPLERS[sampling], { rates, costs, share });
  return [
    `drop.weights: exact under bernoulli sampling only; under ${sampling}, what reaches the gradient through two units is off by ${bias.toFixed(1)} % on average (estimated from 4096 draws)`,
  ];
}

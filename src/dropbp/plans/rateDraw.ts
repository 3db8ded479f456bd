/** @file What plans with drop rates share: their keys, and draws from rates by a sampler, with or without weights. */

import { at } from '../../errors.ts';
import { choice, flag, withDefault } from '../fields.ts';
import { drawStream } from '../random.ts';
import { SAMPLERS, type SamplerName } from '../sampling/index.ts';
import { inverseWeights, meanPairBias } from '../weights.ts';
import type { Draw, DropPlanModel, Moment } from './dropPlan.ts';

const NAMES = Object.keys(SAMPLERS) as SamplerName[];

export const rateFields = {
  /** How units are drawn from their rates. */
  sampling: withDefault(choice(NAMES), 'bernoulli'),
  /** Whether the cotangent of a kept branch is multiplied by 1/(1−its rate). */
  weights: withDefault(flag, false),
} as const;

/** Rates, and how units are drawn from them. */
interface RateDraw {
  /** By unit, in the order of the model. */
  readonly rates: readonly number[];
  /** Share of the units that `official` drops at least. */
  readonly share: number;
  readonly sampling: SamplerName;
  readonly weights: boolean;
}

/** Weights 1/(1−rate) do not exist at a rate of 1. */
export const weightsMisfit = ({ rate, weights }: { readonly rate: number; readonly weights: boolean }) =>
  weights && rate === 1 ? { field: 'weights', expected: 'false at a rate of 1: a unit that is never kept has no weight 1/(1−rate)' } : null;

/** Returns the function that draws units by their rates. @throws EbbError for weights with a rate of 1 */
export function drawByRates({ units, costs }: DropPlanModel, { rates, share, sampling, weights }: RateDraw): (moment: Moment) => Draw {
  const weighing = weights ? { weights: new Map(inverseWeights(rates).map((w, i): [string, number] => [at(units, i), w])) } : {};
  return ({ seed, step, micro }) => {
    const dropped = SAMPLERS[sampling]({ rates, costs, share, random: drawStream(seed, step, micro) });
    return { dropped: units.filter((_, i) => dropped[i]), ...weighing };
  };
}

/** A note on the bias that weights leave, for samplers whose draws of two units depend on each other. */
export function biasNotes({ costs }: DropPlanModel, { rates, share, sampling, weights }: RateDraw): string[] {
  if (!weights || sampling === 'bernoulli') return [];
  const bias = 100 * meanPairBias(SAMPLERS[sampling], { rates, costs, share });
  return [
    `drop.weights: exact under bernoulli sampling only; under ${sampling}, what reaches the gradient through two units is off by ${bias.toFixed(1)} % on average (estimated from 4096 draws)`,
  ];
}

/** @file The plans, by name. Adding one is a file and a line here. */

import { fixed } from './fixed.ts';
import { none } from './none.ts';
import type { Plan } from './plan.ts';
import { uniformPlan } from './uniform.ts';

/** A plan as data: nothing dropped; each unit with probability `rate`, in `[0, 1]`; or patterns taken in turn, one a micro-batch. */
export type PlanConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'uniform'; readonly rate: number }
  | { readonly kind: 'fixed'; readonly patterns: readonly (readonly string[])[] };

/** The plan that a config names. @throws EbbError when it names units the model lacks */
export function createPlan(config: PlanConfig, units: readonly string[]): Plan {
  switch (config.kind) {
    case 'none':
      return none;
    case 'uniform':
      return uniformPlan(config.rate);
    case 'fixed':
      return fixed(config.patterns, units);
  }
}

export type { Plan, PlanInput } from './plan.ts';

/** @file `uniform`: each unit is dropped independently with one rate (DropBP §3.1, before sensitivities are known). */

import { uniform } from '../random.ts';
import type { Plan } from './plan.ts';

export function uniformPlan(rate: number): Plan {
  return ({ units, seed, step, micro }) => units.filter((_, i) => uniform(seed, 1, step, micro, i) < rate);
}

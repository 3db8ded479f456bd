/** @file `none`: every unit gets its backward in every step. */

import type { Plan } from './plan.ts';

export const none: Plan = () => [];

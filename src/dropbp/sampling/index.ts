/** @file The samplers by name. A new one is a file and a line here. */

import { bernoulli } from './bernoulli.ts';
import { fixedBudget } from './fixedBudget.ts';
import { official } from './official.ts';
import type { Sampler } from './sampler.ts';

export const SAMPLERS = { bernoulli, official, 'fixed-budget': fixedBudget } as const satisfies Readonly<Record<string, Sampler>>;

export type SamplerName = keyof typeof SAMPLERS;

/** @file `bernoulli`: each unit on its own. */

import type { Sampler } from './sampler.ts';

/** Unit i is dropped with its rate, whatever becomes of the others: marginals exact, the cost of a step is not fixed. */
export const bernoulli: Sampler = ({ rates, random }) => rates.map((rate, i) => random(i) < rate);

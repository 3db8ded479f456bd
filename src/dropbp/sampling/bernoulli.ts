/** @file `bernoulli`: draws each unit on its own. */

import type { Sampler } from './sampler.ts';

/** Drops each unit with the probability that its rate says, independently of the others. The cost that a step drops varies. */
export const bernoulli: Sampler = ({ rates, random }) => rates.map((rate, i) => random(i) < rate);

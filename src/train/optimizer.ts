/** @file What the update functions are told: the optimizer's rates. How often a group of parameters was updated is counted on the device. */

import type { RunConfig } from './config.ts';

/** An optimizer with its rates, as a run's config holds it. */
export type OptimizerConfig = RunConfig['optimizer'];

/** Scalars of an update, by name (torch.optim.AdamW, torch.optim.SGD). */
export function updateScalar(config: OptimizerConfig, lr: number, name: string): number {
  if (name === 'lr') return lr;
  if (name === 'weight_decay') return config.weightDecay;
  if (config.name === 'adamw') {
    const [beta1, beta2] = config.betas;
    if (name === 'beta1') return beta1;
    if (name === 'beta2') return beta2;
    if (name === 'eps') return config.eps;
  } else {
    if (name === 'momentum') return config.momentum;
    if (name === 'fresh') return 1 - config.dampening;
    if (name === 'nesterov') return config.nesterov ? 1 : 0;
  }
  throw new Error(`internal: update scalar ${name} of ${config.name} is unknown`);
}

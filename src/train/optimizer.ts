/** @file What the update functions are told: rates, moments' bias corrections, per group of parameters, with steps counted per group. */

import type { RunConfig } from './config.ts';

export type OptimizerConfig = RunConfig['optimizer'];

/**
 * Scalars of one group's update (torch.optim.AdamW, torch.optim.SGD).
 * @param updates how often the group was updated before; a group without gradient keeps its count
 */
export function updateScalar(config: OptimizerConfig, lr: number, updates: number, name: string): number {
  const t = updates + 1;
  if (name === 'lr') return lr;
  if (name === 'weight_decay') return config.weightDecay;
  if (config.name === 'adamw') {
    const [beta1, beta2] = config.betas;
    if (name === 'beta1') return beta1;
    if (name === 'beta2') return beta2;
    if (name === 'eps') return config.eps;
    if (name === 'bias1') return 1 - beta1 ** t;
    if (name === 'bias2_sqrt') return Math.sqrt(1 - beta2 ** t);
  } else {
    if (name === 'momentum') return updates === 0 ? 0 : config.momentum;
    if (name === 'fresh') return updates === 0 ? 1 : 1 - config.dampening;
    if (name === 'nesterov') return config.nesterov ? 1 : 0;
  }
  throw new Error(`internal: update scalar ${name} of ${config.name} is unknown`);
}

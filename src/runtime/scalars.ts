/** @file Run-time scalars where nothing is asked of them. */

/** 1 for what multiplies (`branch_weight`, `branch_scale`, `loss_scale`), 0 for all else: no dropout, position 0. */
export const neutralScalar = (name: string): number => (['branch_weight', 'branch_scale', 'loss_scale'].includes(name) ? 1 : 0);

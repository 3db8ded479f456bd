/** @file The result of lowering a group. */

import type { Value } from '../../../ir/types.ts';
import type { Kernel } from '../ir.ts';

/** A kernel with the value behind each of its buffers. */
export interface BoundKernel {
  readonly kernel: Kernel;
  readonly values: readonly Value[];
}

export interface Lowered extends BoundKernel {
  /** A kernel that must run first. It writes scratch values that only this kernel reads. */
  readonly before?: BoundKernel;
}

/** @file What lowering a group gives. */

import type { Value } from '../../../ir/types.ts';
import type { Kernel } from '../ir.ts';

/** A kernel with the value behind each of its buffers. */
export interface BoundKernel {
  readonly kernel: Kernel;
  readonly values: readonly Value[];
}

export interface Lowered extends BoundKernel {
  /** A kernel that has to run before, and leaves scratch values that this one alone reads. */
  readonly before?: BoundKernel;
}

/** @file What lowering must know about the device, the sizes and the schedules. */

import type { Value } from '../../../ir/types.ts';
import type { DeviceTraits } from '../device.ts';
import type { MatmulPrecision } from '../matmul/work.ts';
import type { ChooseSchedule } from './choice.ts';
import type { StartingSchedules } from './starting.ts';

export interface LowerOptions {
  readonly device: DeviceTraits;
  /** Names of the module's run-time dimensions, in the order of the uniform block. */
  readonly dims: readonly string[];
  /** Sizes of the run-time dimensions for which schedules are chosen; the compiler gives their bounds. */
  readonly sizes: Readonly<Record<string, number>>;
  /** The word of each run-time scalar in the uniform block. */
  readonly scalarWord: ReadonlyMap<Value, number>;
  /** Whether every training step runs the function, whatever is dropped; default false. */
  readonly everyStep?: boolean;
  /** What operands of matrix products may be rounded to; default f32, which rounds nothing. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** The schedules that kernels start with, and those that are worth measuring. */
  readonly schedules: StartingSchedules;
  /** Chooses the schedules of matmuls and attention; by default the standard ones of the device's kind. */
  readonly choose?: ChooseSchedule | undefined;
  /** Results that the kernel adds to rather than overwrites. */
  readonly adds: ReadonlySet<Value>;
}

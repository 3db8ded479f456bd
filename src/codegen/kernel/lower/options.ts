/** @file What lowering is told of the device, the sizes and the schedules. */

import type { Value } from '../../../ir/types.ts';
import type { DeviceTraits } from '../device.ts';
import type { MatmulPrecision } from '../matmul/work.ts';
import type { ChooseSchedule } from './choice.ts';
import type { StartingSchedules } from './starting.ts';

export interface LowerOptions {
  readonly device: DeviceTraits;
  /** Names of the module's run-time dimensions, in the order of the uniform block. */
  readonly dims: readonly string[];
  /** Typical sizes, for choosing a schedule. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Uniform word of each run-time scalar. */
  readonly scalarWord: ReadonlyMap<Value, number>;
  /** Whether every training step runs the function, whatever is dropped; default false. */
  readonly everyStep?: boolean;
  /** What operands of products may be rounded to; default f32: nothing is. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** The schedules that kernels start with, and those that are worth measuring. */
  readonly schedules: StartingSchedules;
  /** Chooses how matmuls and attention are cut; without it every kernel has the schedule its device starts with. */
  readonly choose?: ChooseSchedule | undefined;
  /** Results that are added to rather than written. */
  readonly adds: ReadonlySet<Value>;
}

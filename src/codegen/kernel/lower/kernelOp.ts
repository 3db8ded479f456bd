/** @file What makes a kernel of an op that has one of its own. */

import type { Op } from '../../../ir/types.ts';
import type { Group } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';

export type LowerKernelOp = (group: Group, op: Op, options: LowerOptions) => Lowered;

/** @file One invocation of a kernel that is interpreted. */

import type { Builtin, Expr } from '../ir.ts';
import type { LaneValue } from './arithmetic.ts';

/** One invocation. */
export interface Lane {
  readonly vars: LaneValue[];
  readonly arrays: LaneValue[][];
  readonly shared: LaneValue[][];
  /** Results of subgroup operations already met in the running statement. */
  readonly pending: Map<Expr, LaneValue>;
  readonly builtins: Readonly<Record<Builtin, number>>;
}

/** @file One invocation of a kernel that is interpreted. */

import type { Builtin, Expr } from '../ir.ts';
import type { Value } from './arithmetic.ts';

/** One invocation. */
export interface Lane {
  readonly vars: Value[];
  readonly arrays: Value[][];
  readonly shared: Value[][];
  /** Results of subgroup operations already met in the running statement. */
  readonly pending: Map<Expr, Value>;
  readonly builtins: Readonly<Record<Builtin, number>>;
}

/** @file Which built-in values a kernel's body reads. */

import type { Builtin, Stmt } from '../../kernel/ir.ts';
import { everyExpr } from '../../kernel/visit.ts';

/** The built-ins read anywhere in the body, in order of first appearance. */
export function builtinsOf(body: readonly Stmt[]): Builtin[] {
  const found = new Set<Builtin>();
  everyExpr(body, (expr) => {
    if (expr.kind === 'builtin') found.add(expr.name);
  });
  return [...found];
}

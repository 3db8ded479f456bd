/** @file Takes out of a kernel what nothing reads. */

import type { Expr, Stmt } from '../ir.ts';
import type { BoundKernel } from '../lower/lowered.ts';
import { everyExpr, everyStmt, exprsOf, operandsOf } from '../visit.ts';

/** The kernel without the buffers that its body never touches. */
export function withoutIdleBuffers({ kernel, values }: BoundKernel): BoundKernel {
  const touched = new Set<string>();
  everyStmt(kernel.body, (stmt) => void (stmt.kind === 'store' && touched.add(stmt.buffer)));
  everyExpr(kernel.body, (expr) => void (expr.kind === 'load' && touched.add(expr.buffer)));
  const kept = kernel.buffers.map(({ name }) => touched.has(name));
  return { kernel: { ...kernel, buffers: kernel.buffers.filter((_, i) => kept[i]) }, values: values.filter((_, i) => kept[i]) };
}

/** The statement with each of its blocks replaced. */
function withBlocks(stmt: Stmt, f: (block: readonly Stmt[]) => Stmt[]): Stmt {
  if (stmt.kind === 'for') return { ...stmt, body: f(stmt.body) };
  return stmt.kind === 'if' ? { ...stmt, then: f(stmt.then), else: f(stmt.else) } : stmt;
}

/** The body without values that nothing reads. */
export function withoutIdleLets(body: readonly Stmt[]): Stmt[] {
  const read = new Set<string>();
  const note = (expr: Expr): void => {
    if (expr.kind === 'var') read.add(expr.name);
    for (const operand of operandsOf(expr)) note(operand);
  };
  // Blocks are read from their end, since what reads a value stands behind it.
  const kept = (block: readonly Stmt[]): Stmt[] =>
    block
      .toReversed()
      .flatMap((stmt): Stmt[] => {
        if (stmt.kind === 'let' && !read.has(stmt.name)) return [];
        const own = withBlocks(stmt, kept);
        for (const expr of exprsOf(stmt)) note(expr);
        return [own];
      })
      .reverse();
  return kept(body);
}

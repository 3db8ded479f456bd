/** @file A target from outside of src/: kernels as s-expressions. What it needs is what any other target needs. */

import type { Expr, Kernel, Stmt } from '../../src/codegen/kernel/ir.ts';
import { STARTING_SCHEDULES } from '../../src/codegen/kernel/lower/starting.ts';
import { exprsOf, operandsOf } from '../../src/codegen/kernel/visit.ts';
import type { Target } from '../../src/codegen/targets/target.ts';

const list = (parts: readonly (string | number)[]): string => `(${parts.join(' ')})`;

/** The words of a node: its kind, then whatever it holds that is no expression and no block. */
function words(node: Expr | Stmt): (string | number)[] {
  return Object.entries(node).flatMap(([key, value]) => (key !== 'comment' && (typeof value === 'string' || typeof value === 'number') ? [value] : []));
}

const printExpr = (expr: Expr): string => list([...words(expr), ...operandsOf(expr).map(printExpr)]);

function printStmt(stmt: Stmt): string {
  if (stmt.kind === 'comment') return '';
  const blocks = stmt.kind === 'for' ? [stmt.body] : stmt.kind === 'if' ? [stmt.then, stmt.else] : [];
  return list([...words(stmt), ...exprsOf(stmt).map(printExpr), ...blocks.map((block) => list(block.map(printStmt)))]);
}

function print({ name, buffers, shared, workgroup, body }: Kernel): string {
  const declared = [
    ...buffers.map((buffer) => list(['buffer', buffer.name, buffer.element, buffer.access])),
    ...shared.map((array) => list(['shared', array.name, array.type, array.length])),
  ];
  return list(['kernel', name, list(workgroup), ...declared, ...body.map(printStmt)]);
}

/** The words that begin a list, and some that kernels like to use. */
const RESERVED = ['kernel', 'buffer', 'shared', 'let', 'var', 'for', 'if', 'set', 'store', 'k', 'at', 'unit', 'row'];

export const SEXPR: Target = {
  name: 'sexpr',
  title: 's-expressions',
  lineComment: ';',
  word: (index) => `(param u32 ${index})`,
  reserved: new Set(RESERVED),
  print,
  features: ({ subgroups }) => (subgroups ? ['lanes-that-talk'] : []),
  schedules: STARTING_SCHEDULES,
};

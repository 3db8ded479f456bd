/** @file Visits to the statements and expressions of a kernel. */

import type { Expr, FragmentType, Stmt } from './ir.ts';

/** The operands of an expression, in order. */
export function operandsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'bin':
      return [expr.a, expr.b];
    case 'un':
      return [expr.a];
    case 'call':
      return expr.args;
    case 'vec':
      return expr.parts;
    case 'component':
      return [expr.of, expr.index];
    case 'load':
    case 'element':
      return [expr.index];
    default:
      return [];
  }
}

/** The expressions a statement holds itself (not those of nested statements), in order of evaluation. */
export function exprsOf(stmt: Stmt): readonly Expr[] {
  switch (stmt.kind) {
    case 'let':
    case 'set':
      return [stmt.value];
    case 'var':
      return stmt.init === undefined ? [] : [stmt.init];
    case 'setComponent':
    case 'setElement':
    case 'store':
      return [stmt.index, stmt.value];
    case 'loadFragment':
    case 'storeFragment':
      return [stmt.offset];
    case 'for':
      return [stmt.from, stmt.to, stmt.step];
    case 'if':
      return [stmt.cond];
    default:
      return [];
  }
}

/** The blocks nested in a statement. */
export function blocksOf(stmt: Stmt): readonly (readonly Stmt[])[] {
  return stmt.kind === 'for' ? [stmt.body] : stmt.kind === 'if' ? [stmt.then, stmt.else] : [];
}

/** Calls `visit` for every statement, nested ones included, outer first. */
export function everyStmt(body: readonly Stmt[], visit: (stmt: Stmt) => void): void {
  for (const stmt of body) {
    visit(stmt);
    for (const block of blocksOf(stmt)) everyStmt(block, visit);
  }
}

/** Calls `visit` for every expression in the body, operands after their user. */
export function everyExpr(body: readonly Stmt[], visit: (expr: Expr) => void): void {
  const deep = (expr: Expr): void => {
    visit(expr);
    for (const operand of operandsOf(expr)) deep(operand);
  };
  everyStmt(body, (stmt) => {
    for (const expr of exprsOf(stmt)) deep(expr);
  });
}

/** The types of all fragments of a body, by name. */
export function fragmentTypes(body: readonly Stmt[]): ReadonlyMap<string, FragmentType> {
  const types = new Map<string, FragmentType>();
  everyStmt(body, (stmt) => void ((stmt.kind === 'fragment' || stmt.kind === 'loadFragment') && types.set(stmt.name, stmt.type)));
  return types;
}

/** @file Rewrites of expressions and statements, node by node. */

import type { Expr, Stmt } from '../ir.ts';

/** The expression with `f` applied to every node, operands before their user. */
export function mapExpr(expr: Expr, f: (expr: Expr) => Expr): Expr {
  const go = (e: Expr): Expr => mapExpr(e, f);
  switch (expr.kind) {
    case 'bin':
      return f({ ...expr, a: go(expr.a), b: go(expr.b) });
    case 'un':
      return f({ ...expr, a: go(expr.a) });
    case 'call':
      return f({ ...expr, args: expr.args.map(go) });
    case 'vec':
      return f({ ...expr, parts: expr.parts.map(go) });
    case 'component':
      return f({ ...expr, of: go(expr.of), index: go(expr.index) });
    case 'load':
    case 'element':
      return f({ ...expr, index: go(expr.index) });
    default:
      return f(expr);
  }
}

/** The statement with each of its own expressions rewritten by `expr`, in order of evaluation, and then each of its blocks by `block`. */
export function mapStmt(stmt: Stmt, expr: (expr: Expr) => Expr, block: (body: readonly Stmt[]) => readonly Stmt[]): Stmt {
  switch (stmt.kind) {
    case 'let':
    case 'set':
      return { ...stmt, value: expr(stmt.value) };
    case 'var':
      return stmt.init === undefined ? stmt : { ...stmt, init: expr(stmt.init) };
    case 'setComponent':
    case 'setElement':
    case 'store':
      return { ...stmt, index: expr(stmt.index), value: expr(stmt.value) };
    case 'loadFragment':
    case 'storeFragment':
      return { ...stmt, offset: expr(stmt.offset) };
    case 'for':
      return { ...stmt, from: expr(stmt.from), to: expr(stmt.to), step: expr(stmt.step), body: block(stmt.body) };
    case 'if':
      return { ...stmt, cond: expr(stmt.cond), then: block(stmt.then), else: block(stmt.else) };
    default:
      return stmt;
  }
}

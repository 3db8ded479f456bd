/** @file Gives the names in a kernel other spellings, as a target needs them whose language has taken some for itself. */

import { invariant } from '../../../errors.ts';
import type { Expr, Kernel, Stmt } from '../ir.ts';
import { everyStmt } from '../visit.ts';
import { mapExpr, mapStmt } from './map.ts';

/** Every name that the kernel declares: buffers, workgroup memory, then those of its body. */
function declaredNames({ buffers, shared, body }: Pick<Kernel, 'buffers' | 'shared' | 'body'>): readonly string[] {
  const names = [...buffers, ...shared].map(({ name }) => name);
  everyStmt(body, (stmt) => void (declares(stmt) && names.push(stmt.name)));
  return names;
}

type Declaration = Extract<Stmt, { kind: 'let' | 'var' | 'array' | 'for' | 'fragment' | 'loadFragment' }>;

function declares(stmt: Stmt): stmt is Declaration {
  return ['let', 'var', 'array', 'for', 'fragment', 'loadFragment'].includes(stmt.kind);
}

/** The kernel with every name replaced, where it is declared and where it is used. `to` has to give different names for different ones. */
export function renamed(kernel: Kernel, to: (name: string) => string): Kernel {
  const expr = (e: Expr): Expr =>
    mapExpr(e, (x) => {
      switch (x.kind) {
        case 'var':
          return { ...x, name: to(x.name) };
        case 'load':
          return { ...x, buffer: to(x.buffer) };
        case 'element':
          return { ...x, array: to(x.array) };
        default:
          return x;
      }
    });
  const block = (body: readonly Stmt[]): readonly Stmt[] => body.map((stmt) => withNames(mapStmt(stmt, expr, block), to));
  const named = <T extends { readonly name: string }>(decl: T): T => ({ ...decl, name: to(decl.name) });
  return { ...kernel, buffers: kernel.buffers.map(named), shared: kernel.shared.map(named), body: block(kernel.body) };
}

/** The statement with the names replaced that it holds itself. */
function withNames(stmt: Stmt, to: (name: string) => string): Stmt {
  switch (stmt.kind) {
    case 'let':
    case 'var':
    case 'array':
    case 'for':
    case 'fragment':
    case 'set':
    case 'setComponent':
      return { ...stmt, name: to(stmt.name) };
    case 'loadFragment':
      return { ...stmt, name: to(stmt.name), array: to(stmt.array) };
    case 'setElement':
      return { ...stmt, array: to(stmt.array) };
    case 'store':
      return { ...stmt, buffer: to(stmt.buffer) };
    case 'multiplyFragments':
      return { ...stmt, result: to(stmt.result), left: to(stmt.left), right: to(stmt.right) };
    case 'storeFragment':
      return { ...stmt, array: to(stmt.array), value: to(stmt.value) };
    default:
      return stmt;
  }
}

/** Parts a name into the base that was asked for, and its number, which is 0 where it has none. */
function parted(name: string): { readonly base: string; readonly number: number } {
  const dot = name.indexOf('.');
  return dot < 0 ? { base: name, number: 0 } : { base: name.slice(0, dot), number: Number(name.slice(dot + 1)) };
}

/**
 * The kernel with names that are identifiers: letters, digits and underscores. The number of a name, which a dot sets off in the kernel IR
 * (`x.1`), follows an underscore (`x_1`); where that name is reserved or belongs to another, the next number is taken.
 */
export function withIdentifiers(kernel: Kernel, reserved: ReadonlySet<string>): Kernel {
  const spelled = new Map<string, string>();
  const taken = new Set(reserved);
  for (const name of declaredNames(kernel)) {
    if (spelled.has(name)) continue;
    const { base, number } = parted(name);
    let identifier = number === 0 ? base : `${base}_${number}`;
    for (let next = number + 1; taken.has(identifier); next++) identifier = `${base}_${next}`;
    taken.add(identifier);
    spelled.set(name, identifier);
  }
  return renamed(kernel, (name) => {
    const identifier = spelled.get(name);
    invariant(identifier !== undefined, `${kernel.name}: ${name} is declared`);
    return identifier;
  });
}

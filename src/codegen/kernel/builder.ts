/** @file Builds a kernel statement by statement: names are made unique, loops and branches take closures. */

import { add, builtin, mul } from './expr.ts';
import type { BufferDecl, Expr, FragmentType, GridAxis, Kernel, KType, SharedDecl, Stmt } from './ir.ts';

export interface Variable {
  readonly get: Expr;
  set(value: Expr): void;
  setComponent(index: Expr, value: Expr): void;
}
/** An array in registers (`array`) or in workgroup memory (`shared`). */
export interface ArrayRef {
  readonly name: string;
  at(index: Expr): Expr;
  setAt(index: Expr, value: Expr): void;
}
/** A fragment by name: zeros, or what was loaded. */
export interface FragmentRef {
  readonly name: string;
  readonly type: FragmentType;
}
export interface BufferRef {
  readonly decl: BufferDecl;
  load(index: Expr): Expr;
  store(index: Expr, value: Expr): void;
}

export interface KernelBuilder {
  buffer(name: string, element: KType, access: 'read' | 'read_write'): BufferRef;
  shared(name: string, type: KType, length: number): ArrayRef;
  array(name: string, type: KType, length: number): ArrayRef;
  let(name: string, value: Expr): Expr;
  var(name: string, type: KType, init?: Expr): Variable;
  /** Counts `index` (u32) from `from` while below `to`. */
  for(name: string, from: Expr, to: Expr, step: Expr, body: (index: Expr) => void): void;
  if(cond: Expr, then: () => void, otherwise?: () => void): void;
  /** See `FragmentStmt`: zeros, loads from and stores to workgroup memory, products. */
  fragment(name: string, type: FragmentType): FragmentRef;
  loadFragment(name: string, type: FragmentType, from: ArrayRef, offset: Expr, stride: number, by: 'rows' | 'cols'): FragmentRef;
  multiplyFragments(result: FragmentRef, left: FragmentRef, right: FragmentRef): void;
  storeFragment(to: ArrayRef, offset: Expr, stride: number, value: FragmentRef): void;
  barrier(): void;
  return(): void;
  comment(text: string): void;
  /** Workgroup index along x, also where the runtime folded a long x into y. For kernels whose grid is x only. */
  linearWorkgroup(): Expr;
  finish(grid: readonly [GridAxis, GridAxis, GridAxis]): Kernel;
}

export const ONE_GROUP: GridAxis = { of: [1], per: 1 };

/** Starts a kernel; `finish` ends it. Names given to `buffer`, `let`, … are made unique by a number behind a dot: `x`, `x.1`, `x.2`. */
export function kernelBuilder(name: string, workgroup: readonly [number, number, number], uses: Kernel['uses'] = {}): KernelBuilder {
  const buffers: BufferDecl[] = [];
  const shared: SharedDecl[] = [];
  const taken = new Set<string>();
  let body: Stmt[] = [];

  const unique = (wanted: string): string => {
    const base =
      wanted
        .replace(/[^A-Za-z0-9_]/g, '_')
        .replace(/^(?=[0-9])/, 'v')
        .replace(/^_+/, '') || 'v';
    let candidate = base;
    for (let i = 1; taken.has(candidate); i++) candidate = `${base}.${i}`;
    taken.add(candidate);
    return candidate;
  };
  const nested = (build: () => void): Stmt[] => {
    const outer = body;
    const inner: Stmt[] = [];
    body = inner;
    build();
    body = outer;
    return inner;
  };
  const arrayRef = (array: string, type: KType): ArrayRef => ({
    name: array,
    at: (index) => ({ kind: 'element', type, array, index }),
    setAt: (index, value) => void body.push({ kind: 'setElement', array, index, value }),
  });

  return {
    buffer(wanted, element, access) {
      const decl: BufferDecl = { name: unique(wanted), element, access };
      buffers.push(decl);
      return {
        decl,
        load: (index) => ({ kind: 'load', type: element, buffer: decl.name, index }),
        store: (index, value) => void body.push({ kind: 'store', buffer: decl.name, index, value }),
      };
    },
    shared(wanted, type, length) {
      const array = unique(wanted);
      shared.push({ name: array, type, length });
      return arrayRef(array, type);
    },
    array(wanted, type, length) {
      const array = unique(wanted);
      body.push({ kind: 'array', name: array, type, length });
      return arrayRef(array, type);
    },
    let(wanted, value) {
      if (value.kind === 'const' || value.kind === 'var') return value;
      const variable = unique(wanted);
      body.push({ kind: 'let', name: variable, value });
      return { kind: 'var', type: value.type, name: variable };
    },
    var(wanted, type, init) {
      const variable = unique(wanted);
      body.push(init === undefined ? { kind: 'var', name: variable, type } : { kind: 'var', name: variable, type, init });
      return {
        get: { kind: 'var', type, name: variable },
        set: (value) => void body.push({ kind: 'set', name: variable, value }),
        setComponent: (index, value) => void body.push({ kind: 'setComponent', name: variable, index, value }),
      };
    },
    for(wanted, from, to, step, build) {
      const index = unique(wanted);
      const inner = nested(() => build({ kind: 'var', type: from.type, name: index }));
      body.push({ kind: 'for', name: index, from, to, step, body: inner });
    },
    if(cond, then, otherwise) {
      body.push({ kind: 'if', cond, then: nested(then), else: otherwise ? nested(otherwise) : [] });
    },
    fragment(wanted, type) {
      const name = unique(wanted);
      body.push({ kind: 'fragment', name, type });
      return { name, type };
    },
    loadFragment(wanted, type, from, offset, stride, by) {
      const name = unique(wanted);
      body.push({ kind: 'loadFragment', name, type, array: from.name, offset, stride, by });
      return { name, type };
    },
    multiplyFragments: (result, left, right) => void body.push({ kind: 'multiplyFragments', result: result.name, left: left.name, right: right.name }),
    storeFragment: (to, offset, stride, value) => void body.push({ kind: 'storeFragment', array: to.name, offset, stride, value: value.name }),
    barrier: () => void body.push({ kind: 'barrier' }),
    return: () => void body.push({ kind: 'return' }),
    comment: (text) => void body.push({ kind: 'comment', text }),
    linearWorkgroup: () => add(builtin('workgroupX'), mul(builtin('workgroupY'), builtin('numWorkgroupsX'))),
    finish: (grid) => ({ name, buffers, shared, workgroup, grid, uses, body }),
  };
}

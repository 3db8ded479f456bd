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

/** What a kernel reads, writes and shares. */
interface MemoryStatements {
  buffer(name: string, element: KType, access: 'read' | 'read_write'): BufferRef;
  shared(name: string, type: KType, length: number): ArrayRef;
  array(name: string, type: KType, length: number): ArrayRef;
}

interface ValueStatements {
  let(name: string, value: Expr): Expr;
  var(name: string, type: KType, init?: Expr): Variable;
}

interface ControlStatements {
  /** Counts `index` (u32) from `from` while below `to`. */
  for(name: string, from: Expr, to: Expr, step: Expr, body: (index: Expr) => void): void;
  if(cond: Expr, then: () => void, otherwise?: () => void): void;
  barrier(): void;
  return(): void;
  comment(text: string): void;
}

/** See `FragmentStmt`: zeros, loads from and stores to workgroup memory, products. */
interface FragmentStatements {
  fragment(name: string, type: FragmentType): FragmentRef;
  loadFragment(name: string, type: FragmentType, from: ArrayRef, offset: Expr, stride: number, by: 'rows' | 'cols'): FragmentRef;
  multiplyFragments(result: FragmentRef, left: FragmentRef, right: FragmentRef): void;
  storeFragment(to: ArrayRef, offset: Expr, stride: number, value: FragmentRef): void;
}

export interface KernelBuilder extends MemoryStatements, ValueStatements, ControlStatements, FragmentStatements {
  /** Workgroup index along x, also where the runtime folded a long x into y. For kernels whose grid is x only. */
  linearWorkgroup(): Expr;
  finish(grid: readonly [GridAxis, GridAxis, GridAxis]): Kernel;
}

export const ONE_GROUP: GridAxis = { of: [1], per: 1 };

/** Starts a kernel; `finish` ends it. Names given to `buffer`, `let`, … are made unique by a number behind a dot: `x`, `x.1`, `x.2`. */
export function kernelBuilder(name: string, workgroup: readonly [number, number, number], uses: Kernel['uses'] = {}): KernelBuilder {
  const draft: Draft = { unique: uniqueNames(), buffers: [], shared: [], body: [] };
  return {
    ...memoryStatements(draft),
    ...valueStatements(draft),
    ...controlStatements(draft),
    ...fragmentStatements(draft),
    linearWorkgroup: () => add(builtin('workgroupX'), mul(builtin('workgroupY'), builtin('numWorkgroupsX'))),
    finish: (grid) => ({ name, buffers: draft.buffers, shared: draft.shared, workgroup, grid, uses, body: draft.body }),
  };
}

/** A kernel in progress. */
interface Draft {
  readonly unique: (wanted: string) => string;
  readonly buffers: BufferDecl[];
  readonly shared: SharedDecl[];
  /** The block that statements go to. */
  body: Stmt[];
}

/** Makes names of what is asked for: letters, digits and underscores, a letter first, each name once. */
function uniqueNames(): (wanted: string) => string {
  const taken = new Set<string>();
  return (wanted) => {
    const plain = wanted.replace(/[^A-Za-z0-9_]/g, '_');
    const base = plain.replace(/^(?=[0-9])/, 'v').replace(/^_+/, '') || 'v';
    let candidate = base;
    for (let i = 1; taken.has(candidate); i++) candidate = `${base}.${i}`;
    taken.add(candidate);
    return candidate;
  };
}

function memoryStatements(draft: Draft): MemoryStatements {
  const arrayRef = (array: string, type: KType): ArrayRef => ({
    name: array,
    at: (index) => ({ kind: 'element', type, array, index }),
    setAt: (index, value) => void draft.body.push({ kind: 'setElement', array, index, value }),
  });
  return {
    buffer(wanted, element, access) {
      const decl: BufferDecl = { name: draft.unique(wanted), element, access };
      draft.buffers.push(decl);
      return {
        decl,
        load: (index) => ({ kind: 'load', type: element, buffer: decl.name, index }),
        store: (index, value) => void draft.body.push({ kind: 'store', buffer: decl.name, index, value }),
      };
    },
    shared(wanted, type, length) {
      const array = draft.unique(wanted);
      draft.shared.push({ name: array, type, length });
      return arrayRef(array, type);
    },
    array(wanted, type, length) {
      const array = draft.unique(wanted);
      draft.body.push({ kind: 'array', name: array, type, length });
      return arrayRef(array, type);
    },
  };
}

function valueStatements(draft: Draft): ValueStatements {
  return {
    let(wanted, value) {
      if (value.kind === 'const' || value.kind === 'var') return value;
      const variable = draft.unique(wanted);
      draft.body.push({ kind: 'let', name: variable, value });
      return { kind: 'var', type: value.type, name: variable };
    },
    var(wanted, type, init) {
      const variable = draft.unique(wanted);
      draft.body.push(init === undefined ? { kind: 'var', name: variable, type } : { kind: 'var', name: variable, type, init });
      return {
        get: { kind: 'var', type, name: variable },
        set: (value) => void draft.body.push({ kind: 'set', name: variable, value }),
        setComponent: (index, value) => void draft.body.push({ kind: 'setComponent', name: variable, index, value }),
      };
    },
  };
}

function controlStatements(draft: Draft): ControlStatements {
  const nested = (build: () => void): Stmt[] => {
    const outer = draft.body;
    const inner: Stmt[] = [];
    draft.body = inner;
    build();
    draft.body = outer;
    return inner;
  };
  return {
    for(wanted, from, to, step, build) {
      const index = draft.unique(wanted);
      const inner = nested(() => build({ kind: 'var', type: from.type, name: index }));
      draft.body.push({ kind: 'for', name: index, from, to, step, body: inner });
    },
    if(cond, then, otherwise) {
      const [yes, no] = [nested(then), otherwise ? nested(otherwise) : []];
      draft.body.push({ kind: 'if', cond, then: yes, else: no });
    },
    barrier: () => void draft.body.push({ kind: 'barrier' }),
    return: () => void draft.body.push({ kind: 'return' }),
    comment: (text) => void draft.body.push({ kind: 'comment', text }),
  };
}

function fragmentStatements(draft: Draft): FragmentStatements {
  return {
    fragment(wanted, type) {
      const name = draft.unique(wanted);
      draft.body.push({ kind: 'fragment', name, type });
      return { name, type };
    },
    loadFragment(wanted, type, from, offset, stride, by) {
      const name = draft.unique(wanted);
      draft.body.push({ kind: 'loadFragment', name, type, array: from.name, offset, stride, by });
      return { name, type };
    },
    multiplyFragments: (result, left, right) => void draft.body.push({ kind: 'multiplyFragments', result: result.name, left: left.name, right: right.name }),
    storeFragment: (to, offset, stride, value) => void draft.body.push({ kind: 'storeFragment', array: to.name, offset, stride, value: value.name }),
  };
}

/** @file Buffers larger than a device binds at once: bound in parts, side by side, and read and written through the part an index falls in. */

import { invariant } from '../../../errors.ts';
import { ge, lt, min, select, sub, u32 } from '../expr.ts';
import { type BufferDecl, bytesOf, type Expr, type Kernel, type Stmt } from '../ir.ts';

interface Split {
  readonly parts: readonly BufferDecl[];
  /** Elements of each part but the last. */
  readonly elements: number;
}

/** Rewrites an expression bottom up. */
function mapExpr(expr: Expr, f: (expr: Expr) => Expr): Expr {
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

/** The element at `index`, wherever it lies. Every part is read within its bounds; one of the values is taken. */
function loadSplit({ parts, elements }: Split, index: Expr, type: Expr['type']): Expr {
  return parts.reduce<Expr | null>((before, part, i) => {
    const start = u32(i * elements);
    const own = i === 0 ? index : select(u32(0), sub(index, start), ge(index, start));
    const load: Expr = { kind: 'load', type, buffer: part.name, index: i < parts.length - 1 ? min(own, u32(elements - 1)) : own };
    return before === null ? load : select(before, load, ge(index, start));
  }, null) as Expr;
}

function storeSplit({ parts, elements }: Split, index: Expr, value: Expr): Stmt[] {
  const put = (i: number): Stmt[] => {
    const part = parts[i];
    if (!part) return [];
    const store: Stmt = { kind: 'store', buffer: part.name, index: i === 0 ? index : sub(index, u32(i * elements)), value };
    return i === parts.length - 1 ? [store] : [{ kind: 'if', cond: lt(index, u32((i + 1) * elements)), then: [store], else: put(i + 1) }];
  };
  return put(0);
}

/**
 * The same kernel with buffer i bound in `counts[i]` parts of `partBytes` each; the parts of a buffer follow each other.
 * Where every count is 1 it is the kernel itself.
 */
export function splitBuffers(kernel: Kernel, counts: readonly number[], partBytes: number): Kernel {
  if (counts.every((n) => n === 1)) return kernel;
  const splits = new Map<string, Split>();
  const buffers = kernel.buffers.flatMap((decl, i): BufferDecl[] => {
    const count = counts[i] ?? 1;
    if (count === 1) return [decl];
    invariant(partBytes % bytesOf(decl.element) === 0, `${decl.name}: a part of ${partBytes} bytes holds no whole elements`);
    const parts = Array.from({ length: count }, (_, k): BufferDecl => ({ ...decl, name: `${decl.name}_part${k}` }));
    splits.set(decl.name, { parts, elements: partBytes / bytesOf(decl.element) });
    return parts;
  });
  let named = 0;
  /** Rewrites the loads of an expression; positions are computed once, in `before`, for all parts. */
  const expr = (e: Expr, before: Stmt[]): Expr =>
    mapExpr(e, (x) => {
      const split = x.kind === 'load' ? splits.get(x.buffer) : undefined;
      return split && x.kind === 'load' ? loadSplit(split, position(x.index, before), x.type) : x;
    });
  const position = (index: Expr, before: Stmt[]): Expr => {
    if (index.kind === 'var' || index.kind === 'const') return index;
    const name = `part_at${named++}`;
    before.push({ kind: 'let', name, value: index });
    return { kind: 'var', type: index.type, name };
  };
  const block = (body: readonly Stmt[]): Stmt[] => body.flatMap(statement);
  const statement = (stmt: Stmt): Stmt[] => {
    const before: Stmt[] = [];
    const go = (e: Expr): Expr => expr(e, before);
    const rewritten = ((): Stmt[] => {
      switch (stmt.kind) {
        case 'let':
        case 'set':
          return [{ ...stmt, value: go(stmt.value) }];
        case 'var':
          return [stmt.init === undefined ? stmt : { ...stmt, init: go(stmt.init) }];
        case 'setComponent':
        case 'setElement':
          return [{ ...stmt, index: go(stmt.index), value: go(stmt.value) }];
        case 'loadFragment':
        case 'storeFragment':
          return [{ ...stmt, offset: go(stmt.offset) }];
        case 'store': {
          const split = splits.get(stmt.buffer);
          const [index, value] = [go(stmt.index), go(stmt.value)];
          return split ? storeSplit(split, position(index, before), value) : [{ ...stmt, index, value }];
        }
        case 'for':
          return [{ ...stmt, from: go(stmt.from), to: go(stmt.to), step: go(stmt.step), body: block(stmt.body) }];
        case 'if':
          return [{ ...stmt, cond: go(stmt.cond), then: block(stmt.then), else: block(stmt.else) }];
        default:
          return [stmt];
      }
    })();
    return [...before, ...rewritten];
  };
  return { ...kernel, buffers, body: block(kernel.body) };
}

/** @file Buffers larger than a device binds at once: bound in parts, side by side, and read and written through the part an index falls in. */

import { at, invariant } from '../../../errors.ts';
import { ge, lt, min, select, sub, u32 } from '../expr.ts';
import { type BufferDecl, bytesOf, type Expr, type Kernel, type Stmt } from '../ir.ts';
import { mapExpr, mapStmt } from './map.ts';

/** A buffer that is bound in parts. */
interface Split {
  readonly parts: readonly BufferDecl[];
  /** Elements of each part but the last. */
  readonly elements: number;
}

/**
 * The same kernel with buffer i bound in `counts[i]` parts of `partBytes` each; the parts of a buffer follow each other.
 * Where every count is 1 it is the kernel itself.
 */
export function splitBuffers(kernel: Kernel, counts: readonly number[], partBytes: number): Kernel {
  if (counts.every((count) => count === 1)) return kernel;
  const splits = kernel.buffers.map((decl, i) => (at(counts, i) === 1 ? null : splitOf(decl, at(counts, i), partBytes)));
  const byName = new Map(
    kernel.buffers.flatMap(({ name }, i): [string, Split][] => {
      const split = at(splits, i);
      return split ? [[name, split]] : [];
    }),
  );
  return { ...kernel, buffers: kernel.buffers.flatMap((decl, i) => at(splits, i)?.parts ?? [decl]), body: splitBody(kernel.body, byName, positions()) };
}

function splitOf(decl: BufferDecl, count: number, partBytes: number): Split {
  invariant(partBytes % bytesOf(decl.element) === 0, `${decl.name}: a part of ${partBytes} bytes holds no whole elements`);
  const parts = Array.from({ length: count }, (_, k): BufferDecl => ({ ...decl, name: `${decl.name}_part${k}` }));
  return { parts, elements: partBytes / bytesOf(decl.element) };
}

/** An index that is used once for each part, computed in a statement of `before` unless that costs nothing. */
type Position = (index: Expr, before: Stmt[]) => Expr;

function positions(): Position {
  let named = 0;
  return (index, before) => {
    if (index.kind === 'var' || index.kind === 'const') return index;
    const name = `part_at${named++}`;
    before.push({ kind: 'let', name, value: index });
    return { kind: 'var', type: index.type, name };
  };
}

function splitBody(body: readonly Stmt[], splits: ReadonlyMap<string, Split>, position: Position): readonly Stmt[] {
  return body.flatMap((stmt) => {
    const before: Stmt[] = [];
    const expr = (e: Expr): Expr =>
      mapExpr(e, (x) => {
        const split = x.kind === 'load' ? splits.get(x.buffer) : undefined;
        return split && x.kind === 'load' ? loadSplit(split, position(x.index, before), x.type) : x;
      });
    const mapped = mapStmt(stmt, expr, (inner) => splitBody(inner, splits, position));
    const split = mapped.kind === 'store' ? splits.get(mapped.buffer) : undefined;
    const own = split && mapped.kind === 'store' ? storeSplit(split, position(mapped.index, before), mapped.value) : [mapped];
    return [...before, ...own];
  });
}

/** The element at `index`, wherever it lies. Every part is read within its bounds; one of the values is taken. */
function loadSplit({ parts, elements }: Split, index: Expr, type: Expr['type']): Expr {
  const load = (i: number): Expr => {
    const start = u32(i * elements);
    const own = i === 0 ? index : select(u32(0), sub(index, start), ge(index, start));
    return { kind: 'load', type, buffer: at(parts, i).name, index: i < parts.length - 1 ? min(own, u32(elements - 1)) : own };
  };
  return parts.slice(1).reduce<Expr>((before, _, i) => select(before, load(i + 1), ge(index, u32((i + 1) * elements))), load(0));
}

/** The store at `index` into part `i` or one behind it. */
function storeSplit(split: Split, index: Expr, value: Expr, i = 0): Stmt[] {
  const { parts, elements } = split;
  const store: Stmt = { kind: 'store', buffer: at(parts, i).name, index: i === 0 ? index : sub(index, u32(i * elements)), value };
  if (i === parts.length - 1) return [store];
  return [{ kind: 'if', cond: lt(index, u32((i + 1) * elements)), then: [store], else: storeSplit(split, index, value, i + 1) }];
}

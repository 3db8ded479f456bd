/** @file The graph of a fused function: a box for each kernel, with what flows between them. */

import { opFlops } from '../ir/cost.ts';
import { isFused } from '../ir/ops/control.ts';
import { aliasOf } from '../ir/ops/index.ts';
import { printFunc, printOp } from '../ir/print.ts';
import { byteSize, type DimSizes, type Func, type Op, type Param, typeText, type Value } from '../ir/types.ts';
import type { GraphEdge, GraphNode, ValueRole, ValueView } from './pageData.ts';

type Unplaced<T> = Omit<T, 'x' | 'y' | 'width' | 'height' | 'points'>;

/** A graph before it is laid out. */
export interface Graph {
  readonly nodes: readonly Unplaced<GraphNode>[];
  readonly edges: readonly Unplaced<GraphEdge>[];
  readonly text: string;
}

/** Arguments with a box of their own; the others are listed where they are read. */
const FLOWING: readonly string[] = ['value', 'cotangent', 'state'];

interface Names {
  readonly owner: (v: Value) => Value;
  readonly params: ReadonlyMap<Value, Param>;
  readonly uses: (v: Value) => string[];
}

/** A reshape outside of the kernels is the same bytes under another shape. */
function namesOf(func: Func, args: readonly Param[]): Names {
  const alias = new Map(
    func.ops.flatMap((op) => {
      const of = aliasOf(op);
      return of && op.results[0] ? [[op.results[0], of] as const] : [];
    }),
  );
  const owner = (v: Value): Value => {
    const of = alias.get(v);
    return of ? owner(of) : v;
  };
  const use = ({ role, of }: Func['results'][number]): string =>
    role === 'value' ? 'result' : role === 'save' ? 'saved' : role === 'grad' ? `gradient of ${args[of ?? -1]?.value.name}` : 'update';
  return {
    owner,
    params: new Map(func.params.map((p) => [p.value, p])),
    uses: (v) => func.results.filter((r) => owner(r.value) === v).map(use),
  };
}

/** Builds the graph of `func` (stage `fuse`), a form of the function whose forward is `forward`. */
export function graphOf(func: Func, forward: Func, sizes: DimSizes): Graph {
  const args = forward.params;
  const { owner, params, uses } = namesOf(func, args);
  // what a backward is handed was written down in its forward
  const lines = new Map(forward.ops.flatMap((op) => [...op.results, ...(op.body?.ops ?? []).flatMap((o) => o.results)]).map((v) => [v.name, v.loc]));
  const view = (v: Value, role: ValueRole): ValueView => {
    const used = uses(v);
    const loc = v.loc ?? (role === 'saved' ? lines.get(v.name) : undefined);
    return {
      name: v.name,
      type: typeText(v.type),
      bytes: byteSize(v.type, sizes),
      role,
      ...(loc ? { loc: `${loc.file}:${loc.line}:${loc.column}` } : {}),
      ...(used.length > 0 ? { uses: used } : {}),
    };
  };
  const nodes: Unplaced<GraphNode>[] = [];
  const edges = new Map<string, Unplaced<GraphEdge>>();
  const madeBy = new Map<Value, number>();
  const connect = (from: number, to: number, v: Value): void => {
    const key = `${from}>${to}`;
    edges.set(key, { from, to, values: [...(edges.get(key)?.values ?? []), v.name] });
  };
  const read = new Set([...func.ops.flatMap((op) => op.operands), ...func.results.map((r) => r.value)].map(owner));
  for (const { value, role } of func.params) {
    if (!FLOWING.includes(role) || !read.has(value)) continue;
    madeBy.set(value, nodes.length);
    nodes.push({ kind: 'argument', title: value.name, family: role, reads: [], writes: [view(value, role)], inner: [] });
  }
  func.ops.filter(isFused).forEach((op, dispatch) => {
    const at = nodes.length;
    const operands = [...new Set(op.operands.map(owner))];
    nodes.push(kernelNode(op, dispatch, operands, { params, view, sizes }));
    for (const v of operands) {
      const from = madeBy.get(v);
      if (from !== undefined) connect(from, at, v);
    }
    for (const v of op.results) madeBy.set(v, at);
  });
  // gradients of weights end in their kernel; what flows on to another call gets a box
  for (const r of func.results) {
    const from = madeBy.get(owner(r.value));
    const arg = r.role === 'grad' ? args[r.of ?? -1] : undefined;
    if (from === undefined || !(r.role === 'value' || (arg && FLOWING.includes(arg.role)))) continue;
    connect(from, nodes.length, owner(r.value));
    nodes.push({ kind: 'result', title: arg ? `d_${arg.value.name}` : r.value.name, family: r.role, reads: [], writes: [view(r.value, 'value')], inner: [] });
  }
  return { nodes, edges: [...edges.values()], text: printFunc(func, { locs: true, costs: sizes }) };
}

interface KernelContext {
  readonly params: ReadonlyMap<Value, Param>;
  readonly view: (v: Value, role: ValueRole) => ValueView;
  readonly sizes: DimSizes;
}

function kernelNode(op: Op, dispatch: number, operands: readonly Value[], { params, view, sizes }: KernelContext): Unplaced<GraphNode> {
  const outside = operands.flatMap((v) => {
    const role = params.get(v)?.role;
    return role && !FLOWING.includes(role) ? [view(v, role)] : [];
  });
  const results = new Set(op.results);
  return {
    kind: 'kernel',
    title: String(op.attrs['name']),
    family: String(op.attrs['kind']),
    dispatch,
    flops: opFlops(op, sizes),
    reads: outside,
    writes: op.results.map((v) => view(v, 'value')),
    inner: (op.body?.ops ?? []).flatMap((o) => o.results.filter((v) => !results.has(v)).map((v) => view(v, 'inner'))),
    text: printOp(op, { locs: true, costs: sizes }),
  };
}

/** @file The graph of a fused function: a box for each kernel, and the values that flow between them. */

import { at, invariant } from '../errors.ts';
import { opFlops } from '../ir/cost.ts';
import { isFused } from '../ir/ops/control.ts';
import { aliasOf } from '../ir/ops/index.ts';
import { printFunc, printOp } from '../ir/print.ts';
import { byteSize, type DimSizes, type Func, type Loc, type Op, type Param, type Result, typeText, type Value } from '../ir/types.ts';
import type { GraphEdge, GraphNode, KernelNode, ValueNode, ValueRole, ValueView } from './pageData.ts';

type Unplaced<T> = T extends unknown ? Omit<T, 'x' | 'y' | 'width' | 'height' | 'points'> : never;

/** A graph before it is laid out. */
export interface Graph {
  readonly nodes: readonly Unplaced<GraphNode>[];
  readonly edges: readonly Unplaced<GraphEdge>[];
  /** The whole function in the IR. */
  readonly text: string;
}

/** Arguments of these roles have a box of their own. The others are listed where they are read. */
const FLOWING: readonly string[] = ['value', 'cotangent', 'state'];

/** A function with what its graph is made from. */
interface Drawn {
  readonly func: Func;
  /** Arguments of the forward function, whose gradients `func` may give. */
  readonly args: readonly Param[];
  /** The value whose bytes a value is: a reshape outside of the kernels is the same bytes in another shape. */
  readonly owner: (v: Value) => Value;
  readonly view: (v: Value, role: ValueRole) => ValueView;
  readonly sizes: DimSizes;
}

/** The argument whose gradient a result is. */
function gradientOf({ of }: Result, args: readonly Param[]): Param {
  invariant(of !== undefined, 'a gradient does not say of which argument it is');
  return at(args, of);
}

/** What a result is, for a person. */
function useText(result: Result, args: readonly Param[]): string {
  if (result.role === 'value') return 'result';
  if (result.role === 'save') return 'saved';
  return result.role === 'grad' ? `gradient of ${gradientOf(result, args).value.name}` : 'update';
}

function ownerIn(func: Func): (v: Value) => Value {
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
  return owner;
}

/** The line of the model's definition that made each value of a function, by its name. */
function linesOf(func: Func): ReadonlyMap<string, Loc | undefined> {
  const ops = func.ops.flatMap((op) => [op, ...(op.body?.ops ?? [])]);
  return new Map(ops.flatMap((op) => op.results).map((v) => [v.name, v.loc]));
}

/** Builds the graph of `func` (stage `fuse`), which is a form of the function whose forward is `forward`. */
export function graphOf(func: Func, forward: Func, sizes: DimSizes): Graph {
  const args = forward.params;
  const owner = ownerIn(func);
  const lines = linesOf(forward);
  const view = (v: Value, role: ValueRole): ValueView => {
    const uses = func.results.filter((r) => owner(r.value) === v).map((r) => useText(r, args));
    // a saved value was made in forward
    const loc = v.loc ?? (role === 'saved' ? lines.get(v.name) : undefined);
    return {
      name: v.name,
      type: typeText(v.type),
      bytes: byteSize(v.type, sizes),
      role,
      ...(loc ? { loc: `${loc.file}:${loc.line}:${loc.column}` } : {}),
      ...(uses.length > 0 ? { uses } : {}),
    };
  };
  return { ...connected({ func, args, owner, view, sizes }), text: printFunc(func, { locs: true, costs: sizes }) };
}

/** A box with the values that come into it and those that leave it, each by its owner. */
interface Box {
  readonly node: Unplaced<GraphNode>;
  readonly takes: readonly Value[];
  readonly makes: readonly Value[];
}

/** The boxes of arguments, kernels and results in this order, and an edge for each pair of boxes that values flow between. */
function connected(drawn: Drawn): Pick<Graph, 'nodes' | 'edges'> {
  const inner = [...argumentBoxes(drawn), ...kernelBoxes(drawn)];
  const madeBy = new Map(inner.flatMap(({ makes }, i) => makes.map((v): [Value, number] => [v, i])));
  const boxes = [...inner, ...resultBoxes(drawn).filter(({ takes }) => takes.every((v) => madeBy.has(v)))];
  const edges = new Map<string, Unplaced<GraphEdge>>();
  boxes.forEach(({ takes }, to) => {
    for (const v of takes) {
      const from = madeBy.get(v);
      if (from === undefined) continue;
      const key = `${from}>${to}`;
      edges.set(key, { from, to, values: [...(edges.get(key)?.values ?? []), v.name] });
    }
  });
  return { nodes: boxes.map(({ node }) => node), edges: [...edges.values()] };
}

const valueNode = (node: Pick<ValueNode, 'kind' | 'title' | 'family'>, view: ValueView): Unplaced<ValueNode> => ({ ...node, reads: [], writes: [view] });

/** Arguments that flow and are read. */
function argumentBoxes({ func, owner, view }: Drawn): Box[] {
  const read = new Set([...func.ops.flatMap((op) => op.operands), ...func.results.map((r) => r.value)].map(owner));
  return func.params
    .filter(({ value, role }) => FLOWING.includes(role) && read.has(value))
    .map(({ value, role }) => ({ node: valueNode({ kind: 'argument', title: value.name, family: role }, view(value, role)), takes: [], makes: [value] }));
}

function kernelBoxes(drawn: Drawn): Box[] {
  return drawn.func.ops.filter(isFused).map((op, dispatch) => {
    const takes = [...new Set(op.operands.map(drawn.owner))];
    return { node: kernelNode(drawn, op, dispatch, takes), takes, makes: op.results };
  });
}

/** Results that flow on to another call. The gradient of a weight ends in its kernel. */
function resultBoxes({ func, args, owner, view }: Drawn): Box[] {
  return func.results.flatMap((r): Box[] => {
    const arg = r.role === 'grad' ? gradientOf(r, args) : undefined;
    if (r.role !== 'value' && !(arg && FLOWING.includes(arg.role))) return [];
    const title = arg ? `d_${arg.value.name}` : r.value.name;
    return [{ node: valueNode({ kind: 'result', title, family: r.role }, view(r.value, 'value')), takes: [owner(r.value)], makes: [] }];
  });
}

function kernelNode({ func, view, sizes }: Drawn, op: Op, dispatch: number, operands: readonly Value[]): Unplaced<KernelNode> {
  const roles = new Map(func.params.map((p) => [p.value, p.role]));
  const results = new Set(op.results);
  return {
    kind: 'kernel',
    title: String(op.attrs['name']),
    family: String(op.attrs['kind']),
    dispatch,
    flops: opFlops(op, sizes),
    reads: operands.flatMap((v) => {
      const role = roles.get(v);
      return role && !FLOWING.includes(role) ? [view(v, role)] : [];
    }),
    writes: op.results.map((v) => view(v, 'value')),
    inner: (op.body?.ops ?? []).flatMap((o) => o.results.filter((v) => !results.has(v)).map((v) => view(v, 'inner'))),
    text: printOp(op, { locs: true, costs: sizes }),
  };
}

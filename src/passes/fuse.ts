/** @file `fuse`: the ops of a function into groups, each of which becomes one kernel.
 *
 * An anchor (dot, reduction, attention, …) starts a group. A pointwise op joins the group of its latest operand when it is computed
 * element for element from it (an epilogue); what is left over is computed where it is read (a prologue), or gets a `map` group of its
 * own when it must lie in a buffer: results, operands of kernel ops, costly or repeated operands of dots.
 * No group binds more than `maxBuffers` buffers.
 */

import { opDef } from '../ir/ops/index.ts';
import { productKey } from '../ir/ops/structural.ts';
import { type Func, type Op, type Shape, sameShape, sameType, type Value } from '../ir/types.ts';

export type GroupKind = 'map' | 'row' | 'column' | 'dot' | 'kernel';

export interface FuseOptions {
  /** Storage buffers a kernel may bind (WebGPU's default limit is 8). */
  readonly maxBuffers: number;
  /** A result may overwrite a `saved` parameter that nothing reads later (the gradient of the logits). */
  readonly overwriteSaved?: boolean;
  /** Stored weights of at most so many f32 bytes are widened into scratch once a dot, not in each of its tiles. */
  readonly widenOnce?: number;
  /** Whether the argument of that index is a weight, whose gradient is added to where an earlier call has written it. */
  readonly weights?: (argument: number) => boolean;
}

interface Group {
  readonly kind: GroupKind;
  readonly anchor: Op;
  readonly order: number;
  /** Shape of one row-major pass over the group's elements; a row group's last axis is the reduced one. */
  readonly space: Shape;
  readonly members: Set<Op>;
}

interface Plan {
  readonly groups: readonly Group[];
  readonly home: ReadonlyMap<Value, Group>;
}

/** Ops that one round found to overflow the binding limit. */
interface Exclusions {
  readonly unjoined: Set<Op>;
  readonly buffered: Set<Value>;
}

const SCALAR_KINDS = new Set(['constant', 'iota']);
const product = (shape: Shape): string => productKey(shape);
const isRowScalar = (shape: Shape, space: Shape): boolean => product(shape) === product(space.slice(0, -1));

function producers(func: Func): Map<Value, Op> {
  return new Map(func.ops.flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));
}

/** Row groups reduce the last axis, or all axes at once (one row); other reductions are column groups. */
function reductionSpace(op: Op): { kind: GroupKind; space: Shape } {
  const [x] = op.operands;
  const axes = op.attrs['axes'] as readonly number[];
  const shape = x?.type.shape ?? [];
  const extents = shape.flatMap((d, i) => (d === 1 ? [] : [i]));
  if (axes.length === 1 && axes[0] === shape.length - 1) return { kind: 'row', space: shape };
  if (extents.every((i) => axes.includes(i)))
    return { kind: 'row', space: shape.every((d) => typeof d === 'number') ? [shape.reduce<number>((p, d) => p * Number(d), 1)] : shape };
  return { kind: 'column', space: op.results[0]?.type.shape ?? [] };
}
const isFull = (op: Op): boolean => {
  const axes = op.attrs['axes'] as readonly number[];
  const shape = op.operands[0]?.type.shape ?? [];
  return shape.every((d, i) => d === 1 || axes.includes(i)) && !(axes.length === 1 && axes[0] === shape.length - 1);
};

/** Step 1: anchors start groups, pointwise ops join them. */
function plan(func: Func, producer: ReadonlyMap<Value, Op>, { unjoined }: Exclusions): Plan {
  const groups: Group[] = [];
  const home = new Map<Value, Group>();
  const latestMemo = new Map<Value, Group | null>();
  const latest = (v: Value): Group | null => {
    const own = home.get(v);
    if (own) return own;
    const known = latestMemo.get(v);
    if (known !== undefined) return known;
    let found: Group | null = null;
    for (const o of producer.get(v)?.operands ?? []) {
      const g = latest(o);
      if (g && (!found || g.order > found.order)) found = g;
    }
    latestMemo.set(v, found);
    return found;
  };
  const start = (op: Op, kind: GroupKind, space: Shape): void => {
    const group: Group = { kind, anchor: op, order: groups.length, space, members: new Set([op]) };
    groups.push(group);
    for (const r of op.results) home.set(r, group);
  };
  const join = (op: Op, group: Group): void => {
    group.members.add(op);
    for (const r of op.results) home.set(r, group);
  };
  /** Every path from `group` to the operands is element for element. */
  const aligned = (op: Op, group: Group): boolean => op.operands.every((v) => home.get(v) === group || latest(v) !== group);

  for (const op of func.ops) {
    const { kind } = opDef(op.name);
    const [out] = op.results;
    // a reshape moves nothing: it is read through, never joined
    if (!out || SCALAR_KINDS.has(op.name) || op.name === 'reshape') continue;
    if (kind === 'dot') start(op, 'dot', out.type.shape);
    else if (kind === 'kernel') start(op, 'kernel', out.type.shape);
    else if (kind === 'reduce') {
      const { kind: groupKind, space } = reductionSpace(op);
      const host = groupKind === 'row' && !unjoined.has(op) ? rowHost(op, space, groups, latest, home, producer) : null;
      if (host) join(op, host);
      else start(op, groupKind, space);
    } else {
      const group = op.operands.map(latest).reduce((a, g) => (g && (!a || g.order > a.order) ? g : a), null);
      if (group && !unjoined.has(op) && group.kind !== 'kernel' && aligned(op, group) && joins(op, out, group, home)) join(op, group);
    }
  }
  return { groups, home };
}

/** A pointwise op (or a reshape) whose element is made of the same element of the group. */
function joins(op: Op, out: Value, group: Group, home: ReadonlyMap<Value, Group>): boolean {
  const { kind } = opDef(op.name);
  const inside = op.operands.filter((v) => home.get(v) === group);
  if (group.kind === 'row') {
    const full = product(out.type.shape) === product(group.space) && (isFull(group.anchor) || out.type.shape.at(-1) === group.space.at(-1));
    const scalar = isFull(group.anchor) ? product(out.type.shape) === '1' : isRowScalar(out.type.shape, group.space);
    if (!full && !scalar) return false;
    if (op.name === 'broadcast')
      return full && inside.every((v) => (isFull(group.anchor) ? product(v.type.shape) === '1' : isRowScalar(v.type.shape, group.space)));
    if (kind !== 'pointwise') return false;
    return inside.every(
      (v) =>
        product(v.type.shape) === product(out.type.shape) ||
        (full &&
          (product(v.type.shape) === '1' ||
            (isRowScalar(v.type.shape, group.space) && v.type.shape.at(-1) === 1 && v.type.shape.length === out.type.shape.length))),
    );
  }
  if (product(out.type.shape) !== product(group.space)) return false;
  return kind === 'pointwise' && inside.every((v) => product(v.type.shape) === product(out.type.shape));
}

/** An existing row group that a reduction of the same rows can share. */
function rowHost(
  op: Op,
  space: Shape,
  groups: readonly Group[],
  latest: (v: Value) => Group | null,
  home: ReadonlyMap<Value, Group>,
  producer: ReadonlyMap<Value, Op>,
): Group | null {
  const [x] = op.operands;
  if (!x) return null;
  const from = latest(x);
  const fits = (g: Group): boolean => g.kind === 'row' && isFull(g.anchor) === isFull(op) && sameShape(g.space, space);
  if (from && fits(from)) return home.get(x) === from || alignedTree(x, from, home, producer, latest) ? from : null;
  const last = groups.at(-1);
  return last && fits(last) && (!from || from.order < last.order) ? last : null;
}

/** The free expression of `v` reads group `g` only through pointwise ops of the full row. */
function alignedTree(v: Value, g: Group, home: ReadonlyMap<Value, Group>, producer: ReadonlyMap<Value, Op>, latest: (v: Value) => Group | null): boolean {
  if (home.get(v) === g) return true;
  if (latest(v) !== g) return true;
  const op = producer.get(v);
  return (
    op !== undefined && (opDef(op.name).kind === 'pointwise' || op.name === 'broadcast') && op.operands.every((o) => alignedTree(o, g, home, producer, latest))
  );
}

/** Bare moves, widening and scaling by a scalar: cheap enough to repeat in a dot's loads. */
function cheapInDot(v: Value, producer: ReadonlyMap<Value, Op>, stop: (v: Value) => boolean, widenOnce: number): boolean {
  if (stop(v)) return true;
  const op = producer.get(v);
  if (!op) return true;
  if (op.name === 'dequantise' && 4 * v.type.shape.reduce<number>((p, d) => p * Number(d), 1) <= widenOnce) return false;
  if (['reshape', 'dequantise', 'constant', 'transpose', 'slice'].includes(op.name)) return op.operands.every((o) => cheapInDot(o, producer, stop, widenOnce));
  const [x, y] = op.operands;
  if (op.name !== 'mul' || !x || !y) return false;
  if (y.type.shape.length === 0) return cheapInDot(x, producer, stop, widenOnce) && cheapInDot(y, producer, stop, widenOnce);
  return x.type.shape.length === 0 && cheapInDot(y, producer, stop, widenOnce) && cheapInDot(x, producer, stop, widenOnce);
}

/** Through reshapes to the value that owns the bytes. */
function storageOf(v: Value, producer: ReadonlyMap<Value, Op>): Value {
  const op = producer.get(v);
  const x = op?.operands[0];
  return op?.name === 'reshape' && x ? storageOf(x, producer) : v;
}

function treeFlops(v: Value, producer: ReadonlyMap<Value, Op>, stop: (v: Value) => boolean, seen = new Set<Value>()): number {
  if (stop(v) || seen.has(v)) return 0;
  seen.add(v);
  const op = producer.get(v);
  if (!op) return 0;
  const own = opDef(op.name).kind === 'pointwise' ? (['exp', 'tanh', 'log', 'sin', 'cos'].includes(op.name) ? 4 : 1) : 0;
  return op.operands.reduce((sum, o) => sum + treeFlops(o, producer, stop, seen), own);
}

/** Cost above which a value read by several groups is computed once and stored. */
const RECOMPUTE_LIMIT = 20;

/** Step 2: which values outside of groups must lie in a buffer. */
function bufferedValues(func: Func, producer: ReadonlyMap<Value, Op>, { home }: Plan, { buffered }: Exclusions, widenOnce: number): Set<Value> {
  const out = new Set<Value>(buffered);
  const isParam = new Set(func.params.map((p) => p.value));
  const free = (v: Value): boolean => !home.has(v) && !isParam.has(v) && !SCALAR_KINDS.has(producer.get(v)?.name ?? '');
  for (const { value } of func.results) {
    const owner = storageOf(value, producer);
    if (!home.has(owner) && !isParam.has(owner)) out.add(owner);
  }
  const stop = (v: Value): boolean => home.has(v) || isParam.has(v) || out.has(v);
  for (const op of func.ops) {
    const { kind } = opDef(op.name);
    if (kind === 'kernel')
      for (const v of op.operands) {
        const owner = storageOf(v, producer);
        if (free(owner)) out.add(owner);
      }
    if (kind === 'dot') for (const v of op.operands) if (free(v) && !cheapInDot(v, producer, stop, widenOnce)) out.add(storageOf(v, producer));
  }
  const readers = new Map<Value, Set<object>>();
  const note = (v: Value, reader: object): void => {
    if (!free(v)) return;
    const set = readers.get(v) ?? new Set<object>();
    if (set.has(reader)) return;
    set.add(reader);
    readers.set(v, set);
    if (!out.has(v)) for (const o of producer.get(v)?.operands ?? []) note(o, reader);
  };
  for (const op of func.ops)
    for (const v of op.operands) {
      const reader = op.results[0] && (home.get(op.results[0]) ?? (out.has(op.results[0]) ? op : null));
      if (reader) note(v, reader);
    }
  for (const [v, set] of readers) {
    if (set.size > 1 && v.type.shape.length > 0 && producer.get(v)?.name !== 'reshape' && treeFlops(v, producer, (o) => o !== v && stop(o)) >= RECOMPUTE_LIMIT)
      out.add(v);
  }
  return out;
}

interface Draft {
  readonly kind: GroupKind;
  readonly space: Shape;
  readonly anchor: Op;
  readonly ops: readonly Op[];
  readonly reads: readonly Value[];
  readonly outputs: readonly Value[];
}

/** Step 3: groups with what they read, compute inline and write, in an order that respects their dependencies. */
function drafts(func: Func, producer: ReadonlyMap<Value, Op>, { groups, home }: Plan, buffered: ReadonlySet<Value>): Draft[] {
  const position = new Map(func.ops.map((op, i) => [op, i]));
  const isParam = new Set(func.params.map((p) => p.value));
  const all: { kind: GroupKind; space: Shape; anchor: Op; members: ReadonlySet<Op> }[] = [
    ...groups,
    ...[...buffered].flatMap((v) => {
      const op = producer.get(v);
      return op ? [{ kind: 'map' as const, space: v.type.shape, anchor: op, members: new Set([op]) }] : [];
    }),
  ];
  const made = all.map(({ kind, space, anchor, members }) => {
    const inlined = new Set<Op>();
    const reads = new Set<Value>();
    const visit = (v: Value): void => {
      const op = producer.get(v);
      const owner = storageOf(v, producer);
      if (isParam.has(v) || !op) reads.add(v);
      else if (members.has(op)) return;
      else if (home.has(v) || buffered.has(v)) reads.add(v);
      else if (kind === 'kernel' && owner !== v) {
        inlined.add(op);
        for (const o of op.operands) visit(o);
      } else if (!inlined.has(op)) {
        inlined.add(op);
        for (const o of op.operands) visit(o);
      }
    };
    for (const op of members) for (const v of op.operands) visit(v);
    return { kind, space, anchor, members, ops: [...members, ...inlined].sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0)), reads: [...reads] };
  });
  const readSomewhere = new Set(made.flatMap((g) => g.reads));
  for (const { value } of func.results) readSomewhere.add(storageOf(value, producer));
  // a reshaped result inside a group is its storage under another shape
  const drafted = made.map((g): Draft => ({ ...g, outputs: [...new Set([...g.members].flatMap((op) => op.results).filter((r) => readSomewhere.has(r)))] }));
  return schedule(
    drafted.filter((g) => g.outputs.length > 0),
    position,
  );
}

/** Dependencies first; otherwise in the order of the source. */
function schedule(groups: readonly Draft[], position: ReadonlyMap<Op, number>): Draft[] {
  const writer = new Map(groups.flatMap((g) => g.outputs.map((v): [Value, Draft] => [v, g])));
  const done = new Set<Draft>();
  const out: Draft[] = [];
  const visit = (g: Draft): void => {
    if (done.has(g)) return;
    done.add(g);
    for (const v of g.reads) {
      const w = writer.get(v);
      if (w && w !== g) visit(w);
    }
    out.push(g);
  };
  for (const g of [...groups].sort((a, b) => (position.get(a.anchor) ?? 0) - (position.get(b.anchor) ?? 0))) visit(g);
  return out;
}

/** Map groups over one space become one kernel with several outputs, unless one reads another's result elsewhere than at its own element. */
function mergeMaps(groups: readonly Draft[], maxBuffers: number, position: ReadonlyMap<Op, number>): Draft[] {
  const out: Draft[] = [];
  for (const g of groups) {
    const host = g.kind === 'map' ? out.findIndex((h) => h.kind === 'map' && sameShape(h.space, g.space)) : -1;
    const other = out[host];
    if (other) {
      const between = new Set(out.slice(host + 1).flatMap((h) => h.outputs));
      const own = g.reads.filter((v) => other.outputs.includes(v));
      const reads = [...new Set([...other.reads, ...g.reads.filter((v) => !own.includes(v))])];
      if (
        !g.reads.some((v) => between.has(v)) &&
        own.every((v) => elementwiseIn(v, g)) &&
        reads.filter((v) => !scalarParam(v)).length + other.outputs.length + g.outputs.length <= maxBuffers
      ) {
        const ops = [...new Set([...other.ops, ...g.ops])].sort((a, b) => (position.get(a) ?? 0) - (position.get(b) ?? 0));
        out[host] = { ...other, ops, reads, outputs: [...other.outputs, ...g.outputs] };
        continue;
      }
    }
    out.push(g);
  }
  return out;
}

/** The widest group over the limit loses its last joined op, or computes a prologue into a buffer of its own. */
function exclude(g: Draft, exclusions: Exclusions, producer: ReadonlyMap<Value, Op>, members: ReadonlySet<Op>): boolean {
  const joined = [...members].filter((op) => op !== g.anchor && !exclusions.unjoined.has(op)).at(-1);
  if (joined) {
    exclusions.unjoined.add(joined);
    return true;
  }
  const inner = g.ops
    .flatMap((op) => op.operands)
    .find((v) => {
      const op = producer.get(v);
      return op && g.ops.includes(op) && !SCALAR_KINDS.has(op.name) && op.name !== 'reshape' && v.type.shape.length > 0 && !exclusions.buffered.has(v);
    });
  if (!inner) return false;
  exclusions.buffered.add(inner);
  return true;
}

/**
 * Joined ops of a dot whose results only groups read that could compute them while loading: storing the dot's own result once is
 * less traffic than storing two or more of its consequences.
 */
function needlessOutputs(func: Func, groups: readonly Draft[], { groups: planned }: Plan, producer: ReadonlyMap<Value, Op>): Op[] {
  const results = new Set(func.results.map((r) => storageOf(r.value, producer)));
  return groups.flatMap((g) => {
    if (g.kind !== 'dot') return [];
    const readers = (v: Value): readonly Draft[] => groups.filter((h) => h !== g && h.reads.includes(v));
    const idle = g.outputs.filter(
      (v) =>
        producer.get(v) !== g.anchor && !results.has(v) && readers(v).every((h) => h.kind !== 'kernel' && !(h.kind === 'dot' && behindAnchor(h, v, producer))),
    );
    const anchorStored = g.outputs.some((v) => producer.get(v) === g.anchor);
    if (idle.length + (anchorStored ? 1 : 0) < 2) return [];
    const members = planned.find((p) => p.anchor === g.anchor)?.members ?? new Set<Op>();
    const behind = new Set(idle);
    // what only feeds the idle ones goes with them
    const leaving = [...members].reverse().filter((op) => {
      if (op === g.anchor) return false;
      const users = [...members].filter((m) => m.operands.some((v) => op.results.includes(v)));
      const goes = op.results.some((r) => behind.has(r)) && users.every((u) => u.results.some((r) => behind.has(r)));
      const feeds = users.length > 0 && !g.outputs.some((v) => op.results.includes(v)) && users.every((u) => u.results.some((r) => behind.has(r)));
      if (goes || feeds) for (const r of op.results) behind.add(r);
      return goes || feeds;
    });
    return leaving;
  });
}

/** Whether a dot group reads `v` for its dot rather than in its epilogue. */
function behindAnchor(g: Draft, v: Value, producer: ReadonlyMap<Value, Op>): boolean {
  const reach = (o: Value): boolean => {
    if (o === v) return true;
    const op = producer.get(o);
    return op !== undefined && g.ops.includes(op) && op.operands.some(reach);
  };
  return g.anchor.operands.some(reach);
}

function bindings(g: Draft): number {
  return g.reads.filter((v) => !scalarParam(v)).length + g.outputs.length;
}
/** Run-time scalars come in the uniform block. */
let scalarParams = new Set<Value>();
const scalarParam = (v: Value): boolean => scalarParams.has(v);

/** Which outputs may take the place of which operands, as pairs: equal types, read only element for element, dead afterwards. */
function inPlace(func: Func, g: Draft, later: readonly Draft[], overwriteSaved: boolean): readonly number[] {
  if (g.kind === 'kernel') return g.anchor.name === 'cache_write' ? [0, g.reads.indexOf(g.anchor.operands[0] as Value)] : [];
  if (g.kind === 'column') return [];
  const pairs: number[] = [];
  const taken = new Set<Value>();
  for (const [r, out] of g.outputs.entries()) {
    const result = func.results.find((x) => x.value === out);
    for (const [o, v] of g.reads.entries()) {
      const at = func.params.findIndex((p) => p.value === v);
      const role = func.params[at]?.role;
      const wanted =
        role === 'cotangent' ? result !== undefined : role === 'state' ? result?.of === at : overwriteSaved && role === 'saved' && result === undefined;
      if (!wanted || taken.has(v) || !sameType(v.type, out.type) || later.some((h) => h.reads.includes(v))) continue;
      if (g.kind === 'dot' && g.anchor.operands.includes(v)) continue;
      if (!elementwiseIn(v, g)) continue;
      pairs.push(r, o);
      taken.add(v);
      break;
    }
  }
  return pairs;
}

/** `v` is read in the group only by pointwise ops of its own shape (reductions over rows read before they write). */
function elementwiseIn(v: Value, g: Draft): boolean {
  const tainted = new Set<Value>([v]);
  for (const op of g.ops) {
    if (!op.operands.some((o) => tainted.has(o))) continue;
    const { kind } = opDef(op.name);
    if (kind === 'reduce' && g.kind === 'row') continue;
    if (kind !== 'pointwise') return false;
    const [out] = op.results;
    if (!out || !sameShape(out.type.shape, v.type.shape)) return false;
    tainted.add(out);
  }
  return true;
}

/** Fuses `func` (primitives and kernel ops) into `fused` ops. @throws EbbError when a single op binds more buffers than `maxBuffers`. */
export function fuse(func: Func, options: FuseOptions): Func {
  const producer = producers(func);
  const position = new Map(func.ops.map((op, i) => [op, i]));
  scalarParams = new Set(func.params.filter((p) => p.role === 'scalar' && p.value.type.shape.length === 0).map((p) => p.value));
  const exclusions: Exclusions = { unjoined: new Set(), buffered: new Set() };
  let groups: Draft[] = [];
  for (let round = 0; ; round++) {
    const planned = plan(func, producer, exclusions);
    const buffered = bufferedValues(func, producer, planned, exclusions, options.widenOnce ?? 0);
    groups = mergeMaps(drafts(func, producer, planned, buffered), options.maxBuffers, position);
    const over = groups.find((g) => bindings(g) > options.maxBuffers);
    if (!over) {
      const idle = needlessOutputs(func, groups, planned, producer).filter((op) => !exclusions.unjoined.has(op));
      if (idle.length === 0) break;
      for (const op of idle) exclusions.unjoined.add(op);
      continue;
    }
    const members = planned.groups.find((g) => g.anchor === over.anchor)?.members ?? new Set<Op>();
    if (!exclude(over, exclusions, producer, members) || round > 200) {
      throw new Error(`@${func.name}: ${over.anchor.name} binds ${bindings(over)} buffers, the device allows ${options.maxBuffers}`);
    }
  }
  const ops: Op[] = groups.map((g, i) => ({
    name: 'fused',
    operands: g.reads,
    attrs: { kind: g.kind, name: groupName(g), ...inPlaceAttr(inPlace(func, g, groups.slice(i + 1), options.overwriteSaved ?? false)) },
    results: g.outputs,
    body: { params: g.reads, ops: g.ops, results: g.outputs },
  }));
  return { ...func, ops: [...ops, ...aliases(func, producer, groups)] };
}

function inPlaceAttr(pair: readonly number[]): { inplace?: readonly number[] } {
  return pair.length > 0 ? { inplace: pair } : {};
}

/** Results that are another shape of what a group writes: reshapes that stay outside of groups and move nothing. */
function aliases(func: Func, producer: ReadonlyMap<Value, Op>, groups: readonly Draft[]): Op[] {
  const written = new Set(groups.flatMap((g) => g.outputs));
  const known = new Set<Value>([...written, ...func.params.map((p) => p.value)]);
  const out: Op[] = [];
  const need = (v: Value): void => {
    const op = producer.get(v);
    if (known.has(v) || !op) return;
    for (const o of op.operands) need(o);
    known.add(v);
    out.push(op);
  };
  for (const { value } of func.results) need(value);
  return out;
}

function groupName(g: Draft): string {
  const names = [...new Set(g.ops.map((op) => op.name))].filter((n) => !['constant', 'reshape', 'broadcast', 'iota'].includes(n));
  const base = g.kind === 'kernel' ? g.anchor.name : g.kind;
  return g.kind === 'kernel'
    ? base
    : `${base}_${g.outputs.map((v) => v.name.replace(/[^a-zA-Z0-9]/g, '_')).join('_')}${names.includes('dequantise') ? '_dequantise' : ''}`.slice(0, 60);
}

/** @file Makes the forms of a function: one forward, and a backward for each way in which a call can need one. A minimum cut finds what forward saves. */

import { invariant } from '../errors.ts';
import { opDef } from '../ir/ops/index.ts';
import { byteSize, type DimSizes, type Func, type Op, type Param, type Result, type Value } from '../ir/types.ts';
import { minimumCut } from './mincut.ts';
import { ownBytes } from './ownBytes.ts';
import { type OnPass, runPasses } from './pass.ts';
import { differentiate, FORWARD } from './pipeline.ts';
import { seed } from './seed.ts';
import { eliminateDead } from './simplify.ts';

/** What a backward receives for a result: nothing (false), its cotangent (true), or the seed of differentiation instead. */
export type Arrival = false | true | 'seed';

/** What a call's backward must make, and from what. Backwards with equal keys are one form; a dropped call has no key. */
export interface BackwardKey {
  /** For each result, whether its cotangent arrives. It is `seed` for the loss, which is the module's first result. */
  readonly cotangents: readonly Arrival[];
  /** For each parameter, whether its gradient is wanted: those of trainable weights, and of activations that depend on trainable weights. */
  readonly wanted: readonly boolean[];
}

/**
 * Where a backward's parameter comes from: it is an argument of the call, a value that the forward saved, or the cotangent of a result. For
 * `seed`, a run-time scalar takes the place of that cotangent.
 */
export type Source = { readonly from: 'argument' | 'save' | 'cotangent' | 'seed'; readonly index: number };

export interface Backward {
  readonly key: BackwardKey;
  readonly func: Func;
  /** Where each parameter of `func` comes from. */
  readonly sources: readonly Source[];
  /** For each result of `func`, the parameter of the forward whose gradient it is. */
  readonly gradientOf: readonly number[];
}

export interface Forms {
  /** Returns its results, then every value that some backward reads (`save`). A dropped call runs the same kernels and keeps no such value. */
  readonly forward: Func;
  readonly backwards: readonly Backward[];
}

export function backwardKeyText({ cotangents, wanted }: BackwardKey): string {
  const letters = (list: readonly Arrival[]): string => list.map((b) => (b === 'seed' ? 's' : b ? '1' : '0')).join('');
  return `${letters(cotangents)}.${letters(wanted)}`;
}

/** Pointwise and index ops are cheaper to run again in backward than to keep. */
function cheap(op: Op): boolean {
  const { kind } = opDef(op.name);
  return kind === 'pointwise' || kind === 'index';
}

interface Split {
  /** Forward values that backward reads, not counting those it computes again. */
  readonly kept: readonly Value[];
  /** Ops of the backward and of what it recomputes, in the order of the joint function. */
  readonly ops: readonly Op[];
}

function cotangentDependent(joint: Func): Set<Value> {
  const dependent = new Set(joint.params.filter((p) => p.role === 'cotangent').map((p) => p.value));
  for (const op of joint.ops) if (op.operands.some((v) => dependent.has(v))) for (const r of op.results) dependent.add(r);
  return dependent;
}

/** Chooses what forward saves: a minimum cut, in bytes, between what only forward can compute and what backward reads. */
function split(joint: Func, forwardValues: ReadonlySet<Value>, sizes: DimSizes): Split {
  const grads = joint.results.filter((r) => r.role === 'grad').map((r) => r.value);
  const dependent = cotangentDependent(joint);
  const backwardOps = eliminateDead({ ...joint, results: grads.map((value) => ({ value, role: 'value' as const })) }).ops;
  const read = new Set(
    [...backwardOps.filter((op) => op.results.some((r) => dependent.has(r))).flatMap((op) => op.operands), ...grads].filter((v) => !dependent.has(v)),
  );
  const values = [...joint.params.map((p) => p.value), ...joint.ops.flatMap((op) => op.results)].filter((v) => !dependent.has(v));
  const index = new Map(values.map((v, i) => [v, i]));
  const producer = new Map(joint.ops.flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));
  const role = new Map(joint.params.map((p) => [p.value, p.role]));
  const free = (v: Value): boolean => (role.has(v) && role.get(v) !== 'value') || v.type.shape.length === 0;
  const recomputable = (v: Value): boolean => {
    const op = producer.get(v);
    return op !== undefined && (cheap(op) || !forwardValues.has(v));
  };
  const edges: number[][] = values.map(() => []);
  for (const v of values) {
    const to = index.get(v);
    const op = producer.get(v);
    if (to === undefined || !op || !recomputable(v)) continue;
    for (const o of op.operands) {
      const from = index.get(o);
      if (from !== undefined) edges[from]?.push(to);
    }
  }
  // A value that lies in a buffer anyway is cheaper to keep than one that would need a buffer.
  const kernelOperands = new Set(joint.ops.filter((op) => opDef(op.name).kind === 'kernel').flatMap((op) => op.operands));
  const price = (v: Value): number => {
    const op = producer.get(v);
    const perRow = v.type.shape.at(-1) === 1;
    const stored = role.has(v) || kernelOperands.has(v) ? 0.98 : (op && !cheap(op)) || perRow ? 0.99 : 1.05;
    return byteSize(v.type, sizes) * stored;
  };
  const capacity = (v: Value): number => (role.has(v) && free(v) ? 0 : role.has(v) || forwardValues.has(v) ? price(v) : Number.POSITIVE_INFINITY);
  const cut = minimumCut({
    capacity: values.map(capacity),
    edges,
    sources: values.flatMap((v, i) => (recomputable(v) || (role.has(v) && free(v)) ? [] : [i])),
    sinks: [...read].flatMap((v) => index.get(v) ?? []),
  });
  const kept = new Set(cut.flatMap((i) => values[i] ?? []));
  // Backward computes what it reads and forward did not keep, starting from what forward did keep.
  const again = new Set<Value>();
  const visit = (v: Value): void => {
    if (kept.has(v) || again.has(v) || role.has(v)) return;
    again.add(v);
    for (const o of producer.get(v)?.operands ?? []) visit(o);
  };
  for (const v of read) visit(v);
  const ops = joint.ops.filter((op) => op.results.some((r) => again.has(r)) || (op.results.some((r) => dependent.has(r)) && backwardOps.includes(op)));
  return { kept: [...kept], ops };
}

/** Makes the backward of one key, and lists the forward values that must be saved for it. */
function backwardOf(
  source: Func,
  forward: Func,
  key: BackwardKey,
  { sizes, turnsBack = true, onPass }: FormOptions,
): { backward: Backward; saves: readonly Value[] } {
  const arriving = key.cotangents.map((c) => c !== false);
  const joint = differentiate(source, { cotangents: arriving, wanted: key.wanted, turnsBack }, onPass);
  const named = new Map([...forward.params.map((p) => p.value), ...forward.ops.flatMap((op) => op.results)].map((v) => [v.name, v]));
  const jointForward = forwardPart(joint, forward);
  const { kept, ops } = split(joint, new Set(jointForward.keys()), sizes);
  const params: Param[] = [];
  const sources: Source[] = [];
  const saves: Value[] = [];
  const used = new Set([...ops.flatMap((op) => op.operands), ...joint.results.filter((r) => r.role === 'grad').map((r) => r.value)]);
  joint.params.forEach(({ value, role }, i) => {
    if (!used.has(value)) return;
    params.push({ value, role });
    if (role !== 'cotangent') {
      sources.push({ from: 'argument', index: i });
      return;
    }
    const index = cotangentIndex(source, key, i);
    sources.push({ from: key.cotangents[index] === 'seed' ? 'seed' : 'cotangent', index });
  });
  for (const v of kept) {
    const original = jointForward.get(v);
    if (!original || joint.params.some((p) => p.value === v) || !used.has(v)) continue;
    params.push({ value: v, role: 'saved' });
    sources.push({ from: 'save', index: saves.length });
    saves.push(named.get(original.name) ?? original);
  }
  const name = `${source.name}.bwd${key.wanted.some((w, i) => w && source.params[i]?.role === 'value') ? '' : '.nodx'}`;
  const grads = joint.results.filter((r) => r.role === 'grad');
  const own = ownBytes({ name, params, ops, results: grads }, ({ of }) => of !== undefined && source.params[of]?.role === 'weight');
  const seeded = sources.findIndex((s) => s.from === 'seed');
  const func = seeded < 0 ? own : seed(own, seeded);
  const gradientOf = grads.map(({ of }) => {
    invariant(of !== undefined, `@${name}: a gradient does not say which parameter it is of`);
    return of;
  });
  invariant(
    key.wanted.every((w, i) => w === gradientOf.includes(i)),
    `@${name} makes the gradients of parameters ${gradientOf}, but its key is ${backwardKeyText(key)}`,
  );
  onPass?.('dropbp', func);
  return { backward: { key, func, sources, gradientOf }, saves };
}

/** The result whose cotangent is parameter `param` of the joint function. Cotangents follow the arguments, one for each result that has one. */
function cotangentIndex(source: Func, key: BackwardKey, param: number): number {
  const nth = param - source.params.length;
  const arriving = key.cotangents.flatMap((c, i) => (c === false ? [] : [i]));
  const index = arriving[nth];
  invariant(index !== undefined, `@${source.name}: cotangent ${nth} belongs to no result`);
  return index;
}

/** Maps values of `joint` to the values of `forward` that the same ops compute from the same parameters. */
function forwardPart(joint: Func, forward: Func): Map<Value, Value> {
  const same = new Map<Value, Value>();
  joint.params.forEach((p, i) => {
    const f = forward.params[i];
    if (f && p.role !== 'cotangent') same.set(p.value, f.value);
  });
  const byKey = new Map<string, Op>();
  const key = (op: Op, operands: readonly string[]): string => `${op.name}(${operands.join()})${JSON.stringify(op.attrs)}`;
  for (const op of forward.ops)
    byKey.set(
      key(
        op,
        op.operands.map((v) => v.name),
      ),
      op,
    );
  for (const op of joint.ops) {
    const operands = op.operands.map((v) => same.get(v)?.name);
    if (operands.some((n) => n === undefined)) continue;
    const match = byKey.get(key(op, operands as string[]));
    op.results.forEach((r, i) => {
      const f = match?.results[i];
      if (f) same.set(r, f);
    });
  }
  return same;
}

export interface FormOptions {
  /** Sizes of the run-time dimensions, here their bounds, at which bytes to save are counted. */
  readonly sizes: DimSizes;
  /** See `DeriveRequest`. */
  readonly turnsBack?: boolean;
  readonly onPass?: OnPass | undefined;
}

/** The forward as it runs: primitives and kernel ops, with each result in bytes of its own. */
export function forwardOf(source: Func, onPass?: OnPass): Func {
  return ownBytes(runPasses(FORWARD, source, undefined, onPass));
}

/** Makes the forms of `source` for the given keys. */
export function formsOf(source: Func, keys: readonly BackwardKey[], options: FormOptions): Forms {
  const { onPass } = options;
  const forward = forwardOf(source, onPass);
  const built = keys.map((key) => backwardOf(source, forward, key, options));
  const saves = [...new Set(built.flatMap((f) => f.saves))];
  const results: Result[] = [...forward.results, ...saves.map((value): Result => ({ value, role: 'save' }))];
  const backwards = built.map(({ backward, saves: own }) => ({
    ...backward,
    sources: backward.sources.map((s): Source => (s.from === 'save' ? { from: 'save', index: saves.indexOf(own[s.index] as Value) } : s)),
  }));
  const withSaves: Func = { ...forward, name: `${source.name}.fwd`, results };
  onPass?.('dropbp', withSaves);
  return { forward: withSaves, backwards };
}

/** @file Finds which ids a model's inputs may hold: the rows of tables that they look up, or the classes of losses whose targets they are. */

import { at } from '../errors.ts';
import { callsOf, mainOf } from '../ir/module.ts';
import { opDef } from '../ir/ops/index.ts';
import { constantOf } from '../ir/ops/structural.ts';
import { type Func, liftedOf, type Module, type Op, type Value } from '../ir/types.ts';
import { rewrite } from '../passes/rewrite.ts';
import type { IdRange } from '../runtime/program.ts';
import { calleeOf } from './keys.ts';

/** A use of a tensor as ids. */
interface Use {
  readonly ids: Value;
  readonly range: IdRange;
  /** Whether the ids pick from one part of a vocabulary; all parts together have all classes. */
  readonly isPart: boolean;
}

/** Decomposes composites that do not say which of their operands are ids. */
const lookups = (func: Func): Func =>
  rewrite(func, (b, op, operands) => {
    const { kind, ids, decompose } = opDef(op.name);
    return kind === 'composite' && ids === null && decompose ? decompose(b, operands, op.attrs) : null;
  });

const makersOf = (func: Func): ReadonlyMap<Value, Op> => new Map(func.ops.flatMap((op) => op.results.map((r): [Value, Op] => [r, op])));

/** The value of which `v` is a view, through any number of views. */
function originOf(v: Value, maker: ReadonlyMap<Value, Op>): Value {
  const op = maker.get(v);
  return op && opDef(op.name).view && op.operands[0] ? originOf(op.operands[0], maker) : v;
}

function usesIn(func: Func, nameOf: (param: number) => string, scalarOf: (param: number) => number): Use[] {
  const maker = makersOf(func);
  const origin = (v: Value): Value => originOf(v, maker);
  const paramOf = (v: Value): number => func.params.findIndex((p) => p.value === v);
  const numberOf = (v: Value): number => constantOf(maker.get(v)) ?? scalarOf(paramOf(v));
  return func.ops.flatMap((op): Use[] => {
    const { ids } = opDef(op.name);
    if (ids === null) return [];
    const of = at(op.operands, ids.of);
    const table = paramOf(origin(of));
    const first = ids.first === undefined ? undefined : at(op.operands, ids.first);
    const range: IdRange = {
      least: ids.negative ? null : 0,
      below: Number(at(of.type.shape, ids.axis)) + (first ? numberOf(first) : 0),
      of: ids.what === 'rows' ? `table ${table >= 0 ? nameOf(table) : of.name} has rows` : 'the loss has classes',
    };
    return [{ ids: origin(at(op.operands, ids.ids)), range, isPart: first !== undefined }];
  });
}

/** One use for two: the narrower range, or that which reaches further if both are parts of one vocabulary. */
const merged = (a: Use, b: Use): Use => {
  const [low, high] = a.range.below <= b.range.below ? [a, b] : [b, a];
  const chosen = a.isPart && b.isPart ? high : low;
  return { ...chosen, range: { ...chosen.range, least: a.range.least ?? b.range.least } };
};

/**
 * The range of ids for each input of main that is used as ids, directly or through views. Ids that a model computes are not known before it
 * runs; kernels clamp them.
 */
export function idRanges(module: Module): ReadonlyMap<string, IdRange> {
  const main = mainOf(module);
  /** Names of inputs by value, including results of calls that are views of an input. */
  const inputs = new Map(main.params.filter((p) => p.role === 'input').map((p) => [p.value, p.value.name]));
  const funcs = new Map(module.funcs.filter((f) => f !== main).map((f) => [f, lookups(f)]));
  const found = new Map<string, Use>();
  for (const call of callsOf(module)) {
    const func = funcs.get(calleeOf(module, call));
    if (!func) continue;
    const operandOf = (v: Value): Value | undefined => call.operands[func.params.findIndex((p) => p.value === v)];
    call.results.forEach((result, k) => {
      const returned = func.results[k]?.value;
      const operand = returned && operandOf(originOf(returned, makersOf(func)));
      const name = operand && inputs.get(operand);
      if (name !== undefined) inputs.set(result, name);
    });
    const lifted = liftedOf(call);
    const uses = usesIn(
      func,
      (param) => call.operands[param]?.name ?? 'of the model',
      (param) => lifted[param - call.operands.length] ?? Number.NaN,
    );
    for (const use of uses) {
      const operand = operandOf(use.ids);
      const name = operand && inputs.get(operand);
      if (name === undefined || !Number.isFinite(use.range.below)) continue;
      const known = found.get(name);
      found.set(name, known ? merged(known, use) : use);
    }
  }
  return new Map([...found].map(([name, { range }]) => [name, range]));
}

/** @file Which backward forms a model can need, over all patterns: for each call, the keys it can be linked with. */

import { callsOf, mainOf, weightRows } from '../ir/module.ts';
import type { Func, Op, Value } from '../ir/types.ts';
import type { BackwardKey } from '../passes/dropbp.ts';
import type { TracedModel } from '../trace/trace.ts';

/** Whether something holds under every pattern, some, or none. */
type Chance = 'never' | 'sometimes' | 'always';

export interface CallKeys {
  readonly call: Op;
  readonly func: Func;
  readonly keys: readonly BackwardKey[];
  /** Index of the argument a unit's branch is added to. */
  readonly residual: number | null;
}

const most = (chances: readonly Chance[]): Chance => (chances.includes('always') ? 'always' : chances.includes('sometimes') ? 'sometimes' : 'never');

/** The parameter of a unit's function that its residual adds to. */
export function residualParam(func: Func): number | null {
  const op = func.ops.find((o) => o.name === 'residual');
  const index = op ? func.params.findIndex((p) => p.value === op.operands[0]) : -1;
  return index < 0 ? null : index;
}

function combinations(chances: readonly Chance[]): boolean[][] {
  return chances.reduce<boolean[][]>(
    (lists, c) =>
      lists.flatMap((l) =>
        c === 'sometimes'
          ? [
              [...l, true],
              [...l, false],
            ]
          : [[...l, c === 'always']],
      ),
    [[]],
  );
}

/**
 * Walks the calls forward (which values have something trainable above them) and backward (which results can bring a cotangent).
 * A unit passes both through its residual even when it is dropped; its branch only when it is kept.
 */
export function backwardKeys({ module, params }: TracedModel): CallKeys[] {
  const main = mainOf(module);
  const trainable = new Set(params.filter((p) => p.trainable).map((p) => p.name));
  const rowsOf = weightRows(main);
  const isTrainable = (v: Value): boolean => trainable.has(rowsOf(v)?.weight.name ?? '');
  const needs = new Map<Value, Chance>();
  const calls = callsOf(module).map((call) => {
    const func = module.funcs.find((f) => f.name === call.attrs['callee']);
    if (!func) throw new Error(`no function @${call.attrs['callee']}`);
    const unit = call.attrs['unit'] === true;
    const residual = unit ? residualParam(func) : null;
    const own = call.operands.some(isTrainable) ? 'always' : 'never';
    const through = most(call.operands.map((v) => needs.get(v) ?? 'never'));
    const chance = most([own, through]);
    const passed = residual === null ? 'never' : (needs.get(call.operands[residual] as Value) ?? 'never');
    const result: Chance = !unit ? chance : passed === 'always' ? 'always' : chance === 'never' ? 'never' : 'sometimes';
    for (const r of call.results) needs.set(r, result);
    return { call, func, unit, residual };
  });
  const arrives = new Map<Value, Chance>();
  const [loss] = main.results;
  if (loss) arrives.set(loss.value, 'always');
  const out: CallKeys[] = [];
  for (const { call, func, unit, residual } of [...calls].reverse()) {
    const cotangents = call.results.map((r) => arrives.get(r) ?? 'never');
    const any = most(cotangents);
    const wantedValues = call.operands.map((v): Chance => (isTrainable(v) ? 'always' : (needs.get(v) ?? 'never')));
    call.operands.forEach((v, i) => {
      const chance: Chance = any === 'never' ? 'never' : unit && i !== residual ? 'sometimes' : any;
      arrives.set(v, most([arrives.get(v) ?? 'never', chance]));
    });
    const keys =
      any === 'never'
        ? []
        : combinations(cotangents)
            .filter((c) => c.includes(true))
            .flatMap((c) =>
              combinations(wantedValues)
                .filter((w) => w.includes(true))
                .map((wanted): BackwardKey => ({ cotangents: c, wanted })),
            );
    out.unshift({ call, func, keys, residual });
  }
  return out;
}

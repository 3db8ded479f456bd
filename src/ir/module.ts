/** @file Reads `@main` of a module, which consists of calls and of the slices of weights that they take. */

import { EbbError } from '../errors.ts';
import { isCall } from './ops/control.ts';
import { sliceStart } from './ops/structural.ts';
import type { Func, Module, Op, Value } from './types.ts';

/** @throws EbbError if the module has no `@main` */
export function mainOf(module: Module): Func {
  const main = module.funcs.find((f) => f.name === 'main');
  if (!main) throw new EbbError('the module has no @main');
  return main;
}

/** The calls of main, in order. */
export function callsOf(module: Module): readonly Op[] {
  return mainOf(module).ops.filter(isCall);
}

/** A weight, or some of its rows, that a call takes. */
export interface WeightRows {
  readonly weight: Value;
  /** First row of the slice; undefined for the whole weight. */
  readonly start?: number;
}

/** Returns a function that finds the weight behind an operand of a call, or null if the operand is no weight. */
export function weightRows(main: Func): (operand: Value) => WeightRows | null {
  const weights = new Set(main.params.filter((p) => p.role === 'weight').map((p) => p.value));
  const slices = new Map(
    main.ops.flatMap((op): [Value, WeightRows][] => {
      const [weight] = op.operands;
      const [rows] = op.results;
      const start = sliceStart(op);
      return start !== null && weight && rows ? [[rows, { weight, start }]] : [];
    }),
  );
  return (v) => slices.get(v) ?? (weights.has(v) ? { weight: v } : null);
}

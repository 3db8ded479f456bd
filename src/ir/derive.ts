/** @file Composite ops that users define. What an op needs besides its decomposition is derived by running the decomposition. */

import { EbbError } from '../errors.ts';
import { funcBuilder } from './builder.ts';
import { OpError } from './constraint.ts';
import type { FuncBuilder, OpDef } from './define.ts';
import { checkOperands, type OperandSpecs } from './operands.ts';
import { registerOp } from './ops/index.ts';
import type { Attrs, Func, Type } from './types.ts';

/** An op defined by its decomposition. Types, FLOPs and derivative follow from the ops that it decomposes into, unless they are given. */
export type DecomposedOp = Pick<OpDef, 'name'> &
  Required<Pick<OpDef, 'decompose'>> &
  Partial<Pick<OpDef, 'infer' | 'vjp' | 'flops' | 'samples' | 'rejects'>> & {
    /** Names of its operands. If they are given, every use of the op must have as many. */
    readonly operands?: readonly string[];
  };

const specsOf = (names: readonly string[]): OperandSpecs => Object.fromEntries(names.map((name) => [name, 'any']));

/** Runs the decomposition on operands of the given types. @throws OpError naming the op, and the constraint inside it that does not hold */
function expansion({ name, decompose, operands: names }: DecomposedOp, types: readonly Type[], attrs: Attrs): Func {
  if (names) checkOperands(name, specsOf(names), types, attrs);
  const b: FuncBuilder = funcBuilder();
  const operands = types.map((type, i) => b.param(`operand${i}`, type, 'value'));
  try {
    const results = decompose(b, operands, attrs);
    return b.finish(
      name,
      results.map((value) => ({ value, role: 'value' })),
    );
  } catch (error) {
    if (error instanceof EbbError) throw new OpError(`${name}: in its decomposition, ${error.message}`);
    throw error;
  }
}

/**
 * Defines and registers a composite op by its decomposition: `decompose(b, operands, attrs)` adds ops to the builder `b` and returns
 * the results. The same source text may define the op again. @throws EbbError if another definition has taken the name
 */
export function defineOp(op: DecomposedOp, source: string = String(op.decompose)): OpDef {
  const { operands: names, ...own } = op;
  const def: OpDef = {
    ...own,
    kind: 'composite',
    operands: names ? specsOf(names) : null,
    attrs: null,
    effects: null,
    ids: null,
    infer: op.infer ?? ((types, attrs) => expansion(op, types, attrs).results.map((r) => r.value.type)),
    fourWide: () => null,
    samples: op.samples ?? [],
  };
  return registerOp(def, source);
}

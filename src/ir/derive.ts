/** @file Composite ops that users define. What an op needs besides its decomposition is derived by running the decomposition. */

import { at, EbbError } from '../errors.ts';
import { funcBuilder } from './builder.ts';
import { OpError } from './constraint.ts';
import type { FuncBuilder, OpDef } from './define.ts';
import { checkOperands, type OperandSpecs } from './operands.ts';
import { registerOp } from './ops/index.ts';
import { type Attrs, type Func, type Op, sameType, type Type, typeText, type Value } from './types.ts';

/** An op defined by its decomposition. Types, FLOPs and derivative follow from the ops that it decomposes into, unless they are given. */
export type DecomposedOp = Pick<OpDef, 'name'> &
  Required<Pick<OpDef, 'decompose'>> &
  Partial<Pick<OpDef, 'infer' | 'vjp' | 'flops' | 'samples' | 'rejects'>> & {
    /** Names of its operands. If they are given, every use of the op must have as many. */
    readonly operands?: readonly string[];
  };

const specsOf = (names: readonly string[]): OperandSpecs => Object.fromEntries(names.map((name) => [name, 'any']));

/**
 * Checks what a decomposition added.
 * @param made the ops that it added, and `known` whether a value that they read was there before and may be read (a constant)
 * @param types what the op says of its results, if it has said it
 * @throws OpError if an op reads what is none of the operands, or the results are not as the op says
 */
export function checkDecomposition(
  name: string,
  { operands, made, results, known }: DecompositionParts,
  types: readonly Type[] = results.map((v) => v.type),
): void {
  const own = new Set([...operands, ...made.flatMap((op) => op.results)]);
  for (const v of [...made.flatMap((op) => op.operands), ...results])
    if (!own.has(v) && !known(v)) throw new OpError(`${name}: its decomposition uses %${v.name}, which is none of its operands; pass it as one of them`);
  if (results.length !== types.length || types.some((type, i) => !sameType(type, at(results, i).type)))
    throw new OpError(
      `${name}: its decomposition returns ${results.map((v) => typeText(v.type)).join(', ') || 'nothing'}, and its infer ${types.map(typeText).join(', ') || 'nothing'}; they must agree`,
    );
}

export interface DecompositionParts {
  readonly operands: readonly Value[];
  readonly made: readonly Op[];
  readonly results: readonly Value[];
  readonly known: (v: Value) => boolean;
}

/** Runs the decomposition on operands of the given types. @throws OpError naming the op, and the constraint inside it that does not hold */
function expansion({ name, decompose, operands: names }: DecomposedOp, types: readonly Type[], attrs: Attrs): Func {
  if (names) checkOperands(name, specsOf(names), types, attrs);
  const b: FuncBuilder = funcBuilder();
  const operands = types.map((type, i) => b.param(`operand${i}`, type, 'value'));
  try {
    const results = decompose(b, operands, attrs);
    checkDecomposition(name, { operands, made: b.added, results, known: () => false });
    return b.finish(
      name,
      results.map((value) => ({ value, role: 'value' })),
    );
  } catch (error) {
    if (error instanceof EbbError && !error.message.startsWith(`${name}: its decomposition`))
      throw new OpError(`${name}: in its decomposition, ${error.message}`);
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

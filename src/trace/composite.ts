/** @file Ops that users define for their models. Each is one node of the IR, which is decomposed before it is differentiated or fused. */

import { type DecomposedOp, defineOp } from '../ir/derive.ts';
import type { Attrs, Value } from '../ir/types.ts';
import { recordOne, withTrace } from './context.ts';
import type { Tensor } from './nn.ts';

/** Applies a registered op by its name and returns its first result. @throws TraceError if there is no such op, or the operands do not fit it */
export function callOp(name: string, operands: readonly Tensor[], attrs: Attrs = {}): Tensor {
  return recordOne(name, operands, attrs);
}

type ByName<Names extends readonly string[]> = { readonly [K in Names[number]]: Tensor };
type InOrder<Names extends readonly string[]> = { readonly [K in keyof Names]: Tensor };

/** The definition of a composite op: its name, its operands, and its decomposition into other ops. */
export interface CompositeOp<Names extends readonly string[], A extends Attrs> extends Pick<DecomposedOp, 'samples' | 'infer' | 'flops' | 'vjp' | 'rejects'> {
  /** Its name in the IR, snake_case. */
  readonly name: string;
  /** Names of its operands, in order. */
  readonly operands: Names;
  /** Computes the op from its operands, with the same functions that models are written with. */
  readonly decompose: (operands: ByName<Names>, attrs: A) => Tensor;
}

/**
 * Defines a composite op by its decomposition, from which its types, FLOPs and derivative follow. Returns the function that models call, with
 * the operands in order and then the attributes, if there are any.
 * @throws EbbError if the name is not in snake_case, or another op has taken it
 * @example const mish = compositeOp({ name: 'mish', operands: ['x'], decompose: ({ x }) => mul(x, tanh(softplus(x))) });
 */
export function compositeOp<const Names extends readonly string[], A extends Attrs = Record<string, never>>({
  operands: names,
  decompose,
  ...op
}: CompositeOp<Names, A>): (operands: InOrder<Names>, ...attrs: string extends keyof A ? [] : [attrs: A]) => Tensor {
  const whole: DecomposedOp = {
    ...op,
    operands: names,
    decompose: (b, values, attrs) => {
      const operands = Object.fromEntries(names.map((name, i) => [name, values[i] as Value])) as ByName<Names>;
      return [withTrace({ dims: {} }, () => decompose(operands, attrs as A), b, op.name).result];
    },
  };
  const def = defineOp(whole, String(decompose));
  return (operands, ...[attrs]) => callOp(def.name, operands, attrs);
}

/** @file Ops of a user's own, in models: one node of the IR, decomposed before it is differentiated or fused. */

import { EbbError } from '../errors.ts';
import { type DecomposedOp, defineOp } from '../ir/derive.ts';
import type { Attrs, Value } from '../ir/types.ts';
import { recordOne, withTrace } from './context.ts';
import type { Tensor } from './nn.ts';

/** Applies an op of the registry by its name; its (first) result. @throws TraceError when operands do not fit it, or there is no such op */
export function callOp(name: string, operands: readonly Tensor[], attrs: Attrs = {}): Tensor {
  return recordOne(name, operands, attrs);
}

type ByName<Names extends readonly string[]> = { readonly [K in Names[number]]: Tensor };
type InOrder<Names extends readonly string[]> = { readonly [K in keyof Names]: Tensor };

/** What `compositeOp` is given: a name, operands, and the op written in other ops. */
export interface CompositeOp<Names extends readonly string[], A extends Attrs> extends Pick<DecomposedOp, 'samples' | 'infer' | 'flops' | 'vjp' | 'rejects'> {
  /** Its name in the IR, snake_case. */
  readonly name: string;
  /** Names of its operands, in order. */
  readonly operands: Names;
  /** The op in other ops, written with the functions models are written with. */
  readonly decompose: (operands: ByName<Names>, attrs: A) => Tensor;
}

/**
 * A composite op of one's own: its decomposition is its meaning, and types, FLOPs and derivative follow from it. Returns the function
 * that models call with the operands in order, and the attributes if it has some.
 * @throws EbbError when the name is taken by another op
 * @example const mish = compositeOp({ name: 'mish', operands: ['x'], decompose: ({ x }) => mul(x, tanh(softplus(x))) });
 */
export function compositeOp<const Names extends readonly string[], A extends Attrs = Record<string, never>>({
  operands: names,
  decompose,
  ...op
}: CompositeOp<Names, A>): (operands: InOrder<Names>, ...attrs: string extends keyof A ? [] : [attrs: A]) => Tensor {
  if (!/^[a-z][a-z0-9_]*$/.test(op.name)) throw new EbbError(`compositeOp: the name of an op is written in snake_case, found ${JSON.stringify(op.name)}`);
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

/** @file Helpers for ops that are defined by their decomposition alone. */

import type { AttrSpecs } from '../attributes.ts';
import { makeOp, type OpSource } from '../define.ts';
import type { OperandSpecs } from '../operands.ts';
import type { Type, Value } from '../types.ts';

export const F = (...shape: number[]): Type => ({ dtype: 'f32', shape });

type Source<N extends string, O extends OperandSpecs, A extends AttrSpecs> = OpSource<N, 'composite', O, A>;

/** Makes an op that is decomposed. By default its result has the type of its first operand. */
export function composite<const N extends string, const O extends OperandSpecs, const A extends AttrSpecs = Record<never, never>>({
  infer = (types) => Object.values(types)[0] as Type,
  ...op
}: Omit<Source<N, O, A>, 'kind' | 'infer' | 'decompose'> & Pick<Partial<Source<N, O, A>>, 'infer'> & Required<Pick<Source<N, O, A>, 'decompose'>>) {
  return makeOp<N, 'composite', O, A>({ ...op, infer, kind: 'composite' } as Source<N, O, A>);
}

export const lastAxis = (x: Value): readonly [number] => [x.type.shape.length - 1];

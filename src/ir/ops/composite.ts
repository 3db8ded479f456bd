/** @file What ops that are only their decomposition have in common. */

import { type OpDef, operand, type Sample } from '../define.ts';
import type { Type, Value } from '../types.ts';

export const F = (...shape: number[]): Type => ({ dtype: 'f32', shape });

interface Composite {
  readonly name: string;
  readonly infer?: OpDef['infer'];
  readonly decompose: NonNullable<OpDef['decompose']>;
  readonly vjp?: OpDef['vjp'];
  readonly samples: readonly Sample[];
  readonly rejects?: OpDef['rejects'];
}

export function composite({ name, infer, decompose, vjp, samples, rejects }: Composite): OpDef {
  return {
    name,
    kind: 'composite',
    infer: infer ?? ((types) => [operand(types, 0, name)]),
    decompose,
    ...(vjp ? { vjp } : {}),
    samples,
    ...(rejects ? { rejects } : {}),
  };
}

export const lastAxis = (x: Value): number[] => [x.type.shape.length - 1];

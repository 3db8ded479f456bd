/** @file Decides which values of a group are computed four at a time. */

import { at } from '../../../errors.ts';
import { isSource, kindOf, opDef } from '../../../ir/ops/index.ts';
import { lastDim, type Op, type Shape, type Value } from '../../../ir/types.ts';

const divisible = (shape: Shape): boolean => typeof lastDim(shape) === 'number' && Number(lastDim(shape)) % 4 === 0;

/** Whether a value can be emitted four at a time along its last axis. */
export function vectorisable(value: Value, producer: ReadonlyMap<Value, Op>, seen = new Set<Value>()): boolean {
  if (seen.has(value)) return true;
  seen.add(value);
  const { shape, dtype } = value.type;
  if (shape.length === 0 || lastDim(shape) === 1) return dtype === 'f32' || dtype === 'i32' || dtype === 'u32';
  if (!divisible(shape)) return false;
  const op = producer.get(value);
  if (!op) return dtype === 'f32' || dtype === 'bf16' || dtype === 'f16' || dtype.startsWith('q');
  const wide = opDef(op.name).fourWide(op);
  if (wide === null) return false;
  const { along, positional = [] } = wide;
  return positional.every((i) => byPosition(at(op.operands, i), producer)) && along.every((i) => vectorisable(at(op.operands, i), producer, seen));
}

/** Whether the elements of a row differ by their position alone, so that each of four can be computed by itself. */
function byPosition(value: Value, producer: ReadonlyMap<Value, Op>, seen = new Set<Value>()): boolean {
  const { shape } = value.type;
  if (seen.has(value) || shape.length === 0 || lastDim(shape) === 1) return true;
  seen.add(value);
  const op = producer.get(value);
  if (op === undefined) return false;
  return isSource(op) || ((kindOf(op) === 'pointwise' || opDef(op.name).repeats === true) && op.operands.every((o) => byPosition(o, producer, seen)));
}

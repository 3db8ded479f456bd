/** @file Which values of a group are computed four at a time. */

import { opDef } from '../../../ir/ops/index.ts';
import type { Dim, Op, Shape, Value } from '../../../ir/types.ts';

/** Elements computed at once, along the last axis. */
export type Width = 1 | 4;

/** The last dimension of a shape, 1 of none. */
export const lastOf = (shape: Shape): Dim => shape.at(-1) ?? 1;
const divisible = (shape: Shape): boolean => typeof lastOf(shape) === 'number' && Number(lastOf(shape)) % 4 === 0;

/** Whether a value can be emitted four at a time along its last axis. */
export function vectorisable(value: Value, producer: ReadonlyMap<Value, Op>, seen = new Set<Value>()): boolean {
  if (seen.has(value)) return true;
  seen.add(value);
  const { shape, dtype } = value.type;
  if (shape.length === 0 || lastOf(shape) === 1) return dtype === 'f32' || dtype === 'i32' || dtype === 'u32';
  if (!divisible(shape)) return false;
  const op = producer.get(value);
  if (!op) return dtype === 'f32' || dtype === 'bf16' || dtype === 'f16' || dtype.startsWith('q');
  const along = (o: Value): boolean => vectorisable(o, producer, seen);
  switch (op.name) {
    case 'slice':
    case 'concat':
      return (
        (Number(op.attrs['axis']) !== shape.length - 1 || (Number(op.attrs['start'] ?? 0) % 4 === 0 && op.operands.every((o) => divisible(o.type.shape)))) &&
        op.operands.every(along)
      );
    case 'transpose':
      return (op.attrs['perm'] as readonly number[]).at(-1) === shape.length - 1 && op.operands.every(along);
    case 'gather':
      return (op.operands[0]?.type.shape.length ?? 0) > 1 && along(op.operands[0] as Value);
    case 'iota':
    case 'convert':
      return false;
    case 'select': {
      const [condition, ...chosen] = op.operands;
      return dtype === 'f32' && condition !== undefined && positional(condition, producer) && chosen.every(along);
    }
    case 'reshape':
      // neighbours stay neighbours; four of them lie within a row of the operand too
      return op.operands.every((o) => divisible(o.type.shape) && along(o));
    case 'broadcast':
    case 'dequantise':
      return op.operands.every(along);
    default:
      return dtype === 'f32' && op.operands.every(along) && ['pointwise', 'dot', 'reduce', 'kernel'].includes(opDef(op.name).kind);
  }
}

/** Whether elements of a row differ by their position alone, so that each of four can be asked for by itself. */
function positional(value: Value, producer: ReadonlyMap<Value, Op>, seen = new Set<Value>()): boolean {
  const { shape } = value.type;
  if (seen.has(value) || shape.length === 0 || lastOf(shape) === 1) return true;
  seen.add(value);
  const op = producer.get(value);
  if (op?.name === 'iota') return true;
  return op !== undefined && (op.name === 'broadcast' || opDef(op.name).kind === 'pointwise') && op.operands.every((o) => positional(o, producer, seen));
}

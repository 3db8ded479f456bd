/** @file The transpose of broadcasting: sums a cotangent over the axes along which its operand was repeated. */

import { at } from '../../errors.ts';
import { type FuncBuilder, shapeToAttr } from '../define.ts';
import { sameShape, type Type, type Value } from '../types.ts';

/** Sums `gradient`, which has the result's shape, to the shape of the operand's `type`. If nothing was repeated, it returns `gradient` itself. */
export function unbroadcast(b: FuncBuilder, gradient: Value, type: Type): Value {
  const from = gradient.type.shape;
  if (sameShape(from, type.shape)) return gradient;
  const lead = from.length - type.shape.length;
  const axes = from.flatMap((dim, i) => (i < lead || (at(type.shape, i - lead) === 1 && dim !== 1) ? [i] : []));
  const summed = axes.length > 0 ? b.op('reduce_sum', [gradient], { axes }) : gradient;
  return sameShape(summed.type.shape, type.shape) ? summed : b.op('reshape', [summed], { shape: shapeToAttr(type.shape) });
}

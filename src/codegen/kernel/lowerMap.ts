/** @file `map` groups: an invocation computes one element, or four, of every output; of outputs put together of equal parts, one of each part. */

import { type Op, type Shape, sameShape, type Value } from '../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from './builder.ts';
import type { Emitter } from './emit.ts';
import { add, bin, builtin, lt, mul, u32 } from './expr.ts';
import { bindGroup, type Group, type GroupBuffers, gridOf, groupWidth, type Lowered, type LowerOptions } from './group.ts';
import { axesIndex, flatIndex, type Index, productExpr } from './index.ts';
import type { Expr } from './ir.ts';
import type { Width } from './width.ts';

const LANES = 64;

export function lowerMap(group: Group, options: LowerOptions): Lowered {
  const [first] = group.outputs;
  if (!first) throw new Error('map group writes nothing');
  const parts = equalParts(group);
  const shape = parts?.shape ?? first.type.shape;
  const width = groupWidth(group, group.outputs);
  const b = kernelBuilder(group.name, [LANES, 1, 1]);
  const { emit, store, storeAll, values } = bindGroup(b, group, options, () => width === 4);
  const unit = b.let('unit', add(mul(b.linearWorkgroup(), u32(LANES)), builtin('localX')));
  const count = bin('/', productExpr(shape, emit.scope), u32(width));
  b.if(lt(unit, count), () => {
    const inner = emit.inner();
    const at = b.let('at', mul(unit, u32(width)));
    if (parts) storeParts(store, parts, at, inner, width);
    else storeAll(group.outputs, at, inner, width);
  });
  return { kernel: b.finish([gridOf(shape, LANES * width), ONE_GROUP, ONE_GROUP]), values };
}

/** Outputs that are all put together along `axis` of as many parts of one shape. */
interface Parts {
  readonly axis: number;
  readonly shape: Shape;
  readonly outputs: readonly { readonly output: Value; readonly whole: Value; readonly parts: readonly Value[] }[];
}

/** Rope's halves are the case: each reads what the other reads, so that computing them together loads it once. */
function equalParts({ outputs, producer }: Group): Parts | null {
  const concatOf = (v: Value): Op | undefined => {
    const op = producer.get(v);
    return op?.name === 'reshape' && op.operands[0] ? concatOf(op.operands[0]) : op?.name === 'concat' ? op : undefined;
  };
  const made = outputs.flatMap((output) => {
    const op = concatOf(output);
    const [whole] = op?.results ?? [];
    return op && whole ? [{ output, whole, axis: Number(op.attrs['axis']), parts: op.operands }] : [];
  });
  const [first] = made;
  const shape = first?.parts[0]?.type.shape;
  if (!first || !shape || made.length < outputs.length) return null;
  const alike = made.every((o) => o.axis === first.axis && o.parts.length === first.parts.length && o.parts.every((v) => sameShape(v.type.shape, shape)));
  return alike ? { axis: first.axis, shape, outputs: made } : null;
}

/** Computes the parts of every output at flat position `at` of a part, then writes them: an output may lie where another one reads. */
function storeParts(store: GroupBuffers['store'], { axis, shape, outputs }: Parts, at: Expr, inner: Emitter, width: Width): void {
  const index = flatIndex(shape, at, inner.scope);
  const places = new Map<string, Index>();
  const placeOf = ({ type }: Value, part: number): Index => {
    const key = `${type.shape.join()}|${part}`;
    const axes = index.axes().map((a, i) => (i === axis ? add(a, u32(part * Number(shape[axis]))) : a));
    const place = places.get(key) ?? axesIndex(type.shape, axes, inner.scope);
    places.set(key, place);
    return place;
  };
  const computed = outputs.flatMap(({ output, whole, parts }) =>
    parts.map((part, i) => ({ output, place: placeOf(whole, i), value: inner.emit(part, index, width) })),
  );
  for (const { output, place, value } of computed) store(output, place, value, width);
}

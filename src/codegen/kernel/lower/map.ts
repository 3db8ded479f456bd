/** @file Lowers `map` groups: an invocation computes one element, or four, of every output; if the outputs concatenate equal parts, one of each part. */

import { at } from '../../../errors.ts';
import type { Width } from '../../../ir/element.ts';
import { aliasOf } from '../../../ir/ops/index.ts';
import { concatAxis } from '../../../ir/ops/structural.ts';
import { type Op, type Shape, sameShape, type Value } from '../../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from '../builder.ts';
import { add, bin, builtin, lt, mul, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import type { Emitter } from './emit.ts';
import { bindGroup, type Group, type GroupBuffers, gridOf, groupWidth } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { axesIndex, flatIndex, productExpr } from './position.ts';

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

/** Outputs of shape `whole`, each of which concatenates parts of the same `shape` along `axis`. */
interface Parts {
  readonly axis: number;
  readonly shape: Shape;
  readonly whole: Shape;
  readonly outputs: readonly { readonly output: Value; readonly parts: readonly Value[] }[];
}

/** The parts of the outputs if all concatenate equal parts, else null. Rope's two halves read the same elements, so computing both at once loads them once. */
function equalParts({ outputs, producer }: Group): Parts | null {
  const concatOf = (v: Value): Op | undefined => {
    const op = producer.get(v);
    const of = op && aliasOf(op);
    return of ? concatOf(of) : op && concatAxis(op) !== null ? op : undefined;
  };
  const made = outputs.flatMap((output) => {
    const op = concatOf(output);
    const axis = op ? concatAxis(op) : null;
    return op && axis !== null ? [{ output, whole: at(op.results, 0).type.shape, axis, parts: op.operands }] : [];
  });
  const [first] = made;
  const shape = first?.parts[0]?.type.shape;
  if (!first || !shape || made.length < outputs.length) return null;
  const { axis, whole } = first;
  const alike = made.every((o) => o.axis === axis && sameShape(o.whole, whole) && o.parts.every((v) => sameShape(v.type.shape, shape)));
  return alike ? { axis, shape, whole, outputs: made } : null;
}

/** Computes all parts of all outputs at flat position `at` of a part before it stores any, since an output may overwrite what another one reads. */
function storeParts(store: GroupBuffers['store'], { axis, shape, whole, outputs }: Parts, at: Expr, inner: Emitter, width: Width): void {
  const index = flatIndex(shape, at, inner.scope);
  const extent = Number(shape[axis]);
  const places = Array.from({ length: Number(whole[axis]) / extent }, (_, part) => {
    const axes = index.axes().map((a, i) => (i === axis ? add(a, u32(part * extent)) : a));
    return axesIndex(whole, axes, inner.scope);
  });
  const computed = outputs.map(({ output, parts }) => ({ output, values: parts.map((part) => inner.emit(part, index, width)) }));
  for (const { output, values } of computed)
    places.forEach((place, i) => {
      const value = values[i];
      if (value) store(output, place, value, width);
    });
}

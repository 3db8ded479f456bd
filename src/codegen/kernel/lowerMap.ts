/** @file `map` groups: an invocation computes one element, or four, of every output. */

import { kernelBuilder, ONE_GROUP } from './builder.ts';
import { add, bin, builtin, lt, mul, u32 } from './expr.ts';
import { bindGroup, type Group, gridOf, groupWidth, type Lowered, type LowerOptions } from './group.ts';
import { productExpr } from './index.ts';

const LANES = 64;

export function lowerMap(group: Group, options: LowerOptions): Lowered {
  const [first] = group.outputs;
  if (!first) throw new Error('map group writes nothing');
  const { shape } = first.type;
  const width = groupWidth(group, group.outputs);
  const b = kernelBuilder(group.name, [LANES, 1, 1]);
  const { emit, storeAll, values } = bindGroup(b, group, options, () => width === 4);
  const unit = b.let('unit', add(mul(b.linearWorkgroup(), u32(LANES)), builtin('localX')));
  const count = bin('/', productExpr(shape, emit.scope), u32(width));
  b.if(lt(unit, count), () => {
    const inner = emit.inner();
    storeAll(group.outputs, b.let('at', mul(unit, u32(width))), inner, width);
  });
  return { kernel: b.finish([gridOf(shape, LANES * width), ONE_GROUP, ONE_GROUP]), values };
}

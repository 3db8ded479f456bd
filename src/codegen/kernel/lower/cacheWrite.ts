/** @file Lowers `cache_write`, which updates the cache in place: only the new rows are touched. */

import type { Op } from '../../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from '../builder.ts';
import { add, bin, builtin, lt, mul, param, u32 } from '../expr.ts';
import { bufferOf } from './attention.ts';
import { dimOf } from './emit.ts';
import { type Group, gridOf } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { axesIndex, flatIndex, type IndexScope, productExpr } from './position.ts';

const LANES = 64;

export function lowerCacheWrite(group: Group, op: Op, options: LowerOptions): Lowered {
  const [cache, x, position] = op.operands;
  const word = position && options.scalarWord.get(position);
  if (!cache || !x || word === undefined) throw new Error('cache_write has no operands');
  const b = kernelBuilder(group.name, [LANES, 1, 1]);
  const scope: IndexScope = { dim: dimOf(options.dims), bind: (name, v) => b.let(name, v), quotients: new Map() };
  const cacheBuffer = b.buffer('cache', 'f32', 'read_write');
  const xBuffer = b.buffer('x', 'f32', 'read');
  const at = b.let('at', add(mul(b.linearWorkgroup(), u32(LANES)), builtin('localX')));
  b.if(lt(at, productExpr(x.type.shape, scope)), () => {
    const axes = flatIndex(x.type.shape, at, scope).axes();
    const moved = axes.map((a, i) => (i === 1 ? bin('+', a, param(word, 'position')) : a));
    cacheBuffer.store(axesIndex(cache.type.shape, moved, scope).flat(), xBuffer.load(at));
  });
  return { kernel: b.finish([gridOf(x.type.shape, LANES), ONE_GROUP, ONE_GROUP]), values: [cache, bufferOf(x, group)] };
}

/** @file `cache_write %cache, %x, %position`: the cache [B, capacity, …] with x [B, T, …] in its rows from `position` on. Kernels do it in place on a `state`.
 * (C1) all axes but the second agree. (C2) position is a scalar. */

import { at } from '../../errors.ts';
import { constraint } from '../constraint.ts';
import { makeOp } from '../define.ts';
import { broadcastAt, generate } from '../tensor.ts';
import { typeText } from '../types.ts';

export const cacheWrite = makeOp({
  name: 'cache_write',
  kind: 'kernel',
  operands: { cache: 'f32', x: 'f32', position: 'i32' },
  effects: { writes: 'cache' },
  infer: ({ cache, x, position }) => {
    constraint(
      cache.shape.length === x.shape.length && cache.shape.every((d, i) => i === 1 || d === x.shape[i]),
      'cache_write',
      'C1',
      () => `cache and x must agree but for the second axis, found ${typeText(cache)} and ${typeText(x)}`,
    );
    constraint(position.shape.length === 0, 'cache_write', 'C2', () => `position must be i32[], found ${typeText(position)}`);
    return cache;
  },
  evaluate: ({ cache, x, position }) => {
    const from = at(position.data, 0);
    const tokens = at(x.shape, 1);
    return generate('f32', cache.shape, (index) => {
      const t = at(index, 1) - from;
      return t >= 0 && t < tokens
        ? broadcastAt(
            x,
            index.map((v, i) => (i === 1 ? t : v)),
          )
        : broadcastAt(cache, index);
    });
  },
  flops: () => [],
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [2, 5, 3] },
        { dtype: 'f32', shape: [2, 2, 3] },
        { dtype: 'i32', shape: [] },
      ],
      values: { 2: [2] },
    },
  ],
  rejects: [
    {
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [2, 5, 3] },
        { dtype: 'f32', shape: [2, 2, 4] },
        { dtype: 'i32', shape: [] },
      ],
    },
    {
      constraint: 'C2',
      types: [
        { dtype: 'f32', shape: [2, 5, 3] },
        { dtype: 'f32', shape: [2, 2, 3] },
        { dtype: 'i32', shape: [2] },
      ],
    },
  ],
});

/** @file The sizes of a tensor that a model knows to have a certain number of axes. */

import type { Dim } from '../ir/types.ts';
import { misuse } from '../trace/error.ts';
import type { Tensor } from '../trace/nn.ts';

type Sizes<Rank extends number, Known extends readonly Dim[] = readonly []> = Known['length'] extends Rank ? Known : Sizes<Rank, readonly [...Known, Dim]>;

/** The sizes of `x`, one for each of its `rank` axes. @throws TraceError when it has another number of axes */
export function sizesOf<Rank extends 2 | 3 | 4>(x: Tensor, rank: Rank): Sizes<Rank> {
  const { shape } = x.type;
  if (shape.length !== rank) misuse(`%${x.name} is [${shape.join(', ')}], expected ${rank} axes`);
  return shape as readonly Dim[] as Sizes<Rank>;
}

/** The size of the last axis of `x`. @throws TraceError when it is known only at run time */
export function widthOf({ name, type: { shape } }: Tensor): number {
  const width = shape.at(-1);
  return typeof width === 'number' ? width : misuse(`%${name} is [${shape.join(', ')}], expected a last axis whose size is known`);
}

/** @file The sizes of a tensor that a model knows to have a certain number of axes. */

import type { Dim } from '../ir/types.ts';
import type { Tensor } from '../trace/nn.ts';

type Sizes<Rank extends number, Known extends readonly Dim[] = readonly []> = Known['length'] extends Rank ? Known : Sizes<Rank, readonly [...Known, Dim]>;

/** The sizes of `x`, one for each of its `rank` axes. @throws Error when it has another number of axes */
export function sizesOf<Rank extends 2 | 3 | 4>(x: Tensor, rank: Rank): Sizes<Rank> {
  const { shape } = x.type;
  if (shape.length !== rank) throw new Error(`internal: %${x.name} has ${shape.length} axes, the model expects ${rank}`);
  return shape as readonly Dim[] as Sizes<Rank>;
}

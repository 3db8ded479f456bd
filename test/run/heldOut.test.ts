/** @file The best of held-out losses, and how long ago it was. */

import { bestSoFar } from '../../src/run/heldOut.ts';

it.each<[readonly number[], number | null, number]>([
  [[], null, 0],
  [[5], null, 0],
  [[5, 6], 1, 0],
  [[1, 6, 5], 2, 0],
  [[1, 4, 5, 4], 1, 2],
  [[9, 5, 4, 3, 3, 7], 3, 2],
  [[9, Number.NaN], null, 0],
  [[9, 5, Number.NaN, Number.NaN], 1, 2],
  [[9, Number.NaN, 4], 2, 0],
])('of %j, the first before training', (losses, step, since) => {
  const found = bestSoFar(losses.map((heldOut, i) => ({ step: i, heldOut })));
  expect({ step: found.best?.step ?? null, since: found.since }).toEqual({ step, since });
});

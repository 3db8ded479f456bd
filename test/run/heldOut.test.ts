/** @file How long ago the lowest held-out loss was. */

import { sinceLowest } from '../../src/run/heldOut.ts';

it.each<[number, readonly (readonly [step: number, loss: number])[], number]>([
  [2, [], 0],
  [2, [[0, 5]], 0],
  [
    2,
    [
      [0, 5],
      [2, 6],
    ],
    0,
  ],
  [
    2,
    [
      [0, 1],
      [2, 6],
      [4, 5],
    ],
    0,
  ],
  [
    2,
    [
      [0, 1],
      [2, 4],
      [4, 5],
      [6, 4],
    ],
    2,
  ],
  [
    1,
    [
      [0, 9],
      [1, 5],
      [2, 4],
      [3, 3],
      [4, 3],
      [5, 7],
    ],
    2,
  ],
  [1, [[1, Number.NaN]], 0],
  [
    1,
    [
      [1, 5],
      [2, Number.NaN],
      [3, Number.NaN],
    ],
    2,
  ],
  // a run that ended after step 3 and went on
  [
    2,
    [
      [0, 9],
      [2, 5],
      [3, 1],
      [4, 6],
      [6, 7],
    ],
    2,
  ],
  [
    0,
    [
      [0, 9],
      [3, 5],
    ],
    0,
  ],
])('evaluated every %d steps: %j', (evalEvery, losses, since) => {
  expect(
    sinceLowest(
      losses.map(([step, heldOut]) => ({ step, heldOut })),
      evalEvery,
    ),
  ).toBe(since);
});

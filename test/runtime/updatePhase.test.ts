/** @file How the squares of gradients are shared out between workgroups. */

import * as fc from 'fast-check';
import { normRows } from '../../src/runtime/updatePhase.ts';

it('takes a stretch in whole rows of four, in no more parts than its groups have room for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 20 }), fc.integer({ min: 1, max: 70 }), (kibibytes, groups) => {
      const { N, Q } = normRows({ bytes: 1024 * kibibytes, groups });
      expect(4 * N * Q).toBe(1024 * kibibytes);
      expect(Q % 4).toBe(0);
      expect(N).toBeGreaterThanOrEqual(64);
      expect(N).toBeLessThanOrEqual(64 * groups);
    }),
  );
  expect(normRows({ bytes: 27 * 2 ** 16, groups: 27 })).toEqual({ N: 1024, Q: 432 });
});

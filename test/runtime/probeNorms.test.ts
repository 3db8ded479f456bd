/** @file Norms of many gradients by few dispatches: every float counts once, for its own parameter, whatever lies beside it. */

import fc from 'fast-check';
import { aligned } from '../../src/runtime/link/layout.ts';
import { addSquares, normRanges, sumBytes } from '../../src/runtime/probeNorms.ts';

const START = 2 ** 40;
/** Gradients side by side in one buffer, but where a gap of 256 bytes comes before one. */
function places(sizes: readonly number[], gaps: readonly boolean[] = []) {
  let end = START;
  return sizes.map((bytes, param) => {
    const at = end + (gaps[param] ? 256 : 0);
    end = at + aligned(bytes);
    return { param, at };
  });
}
const program = (sizes: readonly number[], partBytes: number) => ({
  params: sizes.map((bytes) => ({ name: '', shape: [], dtype: 'f32', bytes, trainable: true, table: false, init: { kind: 'constant', value: 0 } as const })),
  partBytes,
});

it('takes a layer whose sizes have much in common at once, and one with an odd one in few ranges', () => {
  const layer = [2304, 1327104, 442368, 442368, 1327104, 2304, 3538944, 3538944, 3538944];
  const found = normRanges(program(layer, 2 ** 27), places(layer));
  expect(found.map(({ width, shares }) => [width, shares.length])).toEqual([[2304, 9]]);
  const odd = [1327104, 768, 1327104, 768, 3538944];
  const ranges = normRanges(program(odd, 2 ** 27), places(odd));
  expect(ranges.length).toBeLessThan(odd.length);
  // 4 bytes a row stay small beside the gradients
  expect(ranges.reduce((sum, range) => sum + sumBytes(range), 0)).toBeLessThan(odd.reduce((a, b) => a + b, 0) / 100);
});

it('counts every float once, in rows that one binding holds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.boolean()), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 8, max: 64 }),
      (given, parts) => {
        const sizes = given.map(([floats]) => 4 * floats);
        const partBytes = 256 * parts;
        const at = places(
          sizes,
          given.map(([, gap]) => gap),
        );
        const floats = new Map(
          at.flatMap(({ param, at: start }) => Array.from({ length: sizes[param]! / 4 }, (_, i): [number, number] => [start + 4 * i, 1 + param])),
        );
        const squares = new Map<number, number>();
        // any order of what is asked for
        for (const range of normRanges(program(sizes, partBytes), [...at].reverse())) {
          expect(range.at % 256).toBe(START % 256);
          expect(range.width * range.rows).toBeLessThanOrEqual(partBytes);
          const sums = Float32Array.from({ length: range.rows }, (_, row) => {
            let sum = 0;
            for (let byte = 0; byte < range.width; byte += 4) sum += (floats.get(range.at + row * range.width + byte) ?? 0) ** 2;
            return sum;
          });
          addSquares(squares, range, sums, 0);
        }
        expect(squares).toEqual(new Map(sizes.map((bytes, param) => [param, (bytes / 4) * (1 + param) ** 2])));
      },
    ),
  );
});

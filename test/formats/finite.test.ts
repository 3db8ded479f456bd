/** @file Weights that are NaN or infinite are found in every stored type, wherever they lie, and no others are. */

import * as fc from 'fast-check';
import { nonFinite, refuseNonFinite } from '../../src/formats/finite.ts';
import { BLOCKS, type BlockType, dequantise } from '../../src/formats/ggmlBlocks.ts';
import { messageOf } from './fixtureFolder.ts';

const TYPES = Object.keys(BLOCKS) as BlockType[];

/** Random bits: exponents of all ones are among them. */
const stored = fc
  .record({ type: fc.constantFrom(...TYPES), blocks: fc.integer({ min: 1, max: 9 }), seed: fc.nat(), shift: fc.nat(3) })
  .map(({ type, blocks, seed, shift }) => {
    const length = blocks * BLOCKS[type].bytesPerBlock;
    let state = seed;
    const bits = Uint8Array.from({ length: length + shift }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16);
    // every other case has exponents that are all ones more often than by chance
    if (seed % 2 === 1) for (let i = shift + 1; i < bits.length; i += 1 + (seed % 7)) bits[i] = 0x7f | (bits[i]! & 0x80);
    return { type, bytes: bits.subarray(shift) };
  });

it('random bits of every type, aligned or not', () => {
  let [broken, whole] = [0, 0];
  fc.assert(
    fc.property(stored, ({ type, bytes }) => {
      const { blockSize } = BLOCKS[type];
      const values = dequantise(type, bytes);
      // a scale that is infinite times a quant of 0 is NaN: blocks are spoilt as a whole
      const spoilt = Array.from({ length: values.length / blockSize }, (_, b) =>
        values.subarray(b * blockSize, (b + 1) * blockSize).some((v) => !Number.isFinite(v)),
      );
      const first = spoilt.indexOf(true);
      const found = nonFinite(type, bytes);
      if (first < 0) whole++;
      else broken++;
      if (blockSize === 1) expect(found?.element ?? -1).toBe(first);
      else expect(found !== null).toBe(first >= 0);
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(broken, whole)).toBeGreaterThan(200);
});

it('says where', () => {
  const half = Uint16Array.of(0, 0x3c00, 0xfc00);
  expect(messageOf(() => refuseNonFinite('w.safetensors: tensor a', 'f16', new Uint8Array(half.buffer), 100))).toBe(
    'w.safetensors: tensor a holds -Infinity at element 102, expected finite numbers; the file is broken, or was written by a run that had diverged: give weights from before',
  );
  const blocks = new Uint8Array(3 * 34);
  blocks.set([0x01, 0x7c], 68);
  expect(messageOf(() => refuseNonFinite('w.gguf: tensor a', 'q8_0', blocks, 64))).toContain(
    'w.gguf: tensor a holds NaN at element 128, the scale of its block, expected finite numbers',
  );
});

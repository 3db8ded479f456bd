/** @file Which sequences a batch holds: every epoch each once, packed within its bounds, like lengths together, the same whenever it is asked. */

import { join } from 'node:path';
import fc from 'fast-check';
import { arrange } from '../../src/train/arrangement.ts';
import { collateRows, type Sequence, sequenceBatches } from '../../src/train/batches.ts';
import { packRows } from '../../src/train/packing.ts';
import { lengthNotes, runLength } from '../../src/train/runLength.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const order = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Best fit decreasing as it is told, with no more thought than that: how many rows it takes. */
function plainPacking(lengths: readonly number[], length: number): number {
  const rooms: number[] = [];
  for (const size of [...lengths].sort((a, b) => b - a)) {
    const [best] = order(rooms.length)
      .filter((r) => rooms[r]! >= size)
      .sort((a, b) => rooms[a]! - rooms[b]!);
    if (best === undefined) rooms.push(length - size);
    else rooms[best]! -= size;
  }
  return rooms.length;
}

const settings = fc.record({
  lengths: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 40 }),
  batch: fc.integer({ min: 1, max: 9 }),
  seed: fc.nat(),
  shuffle: fc.boolean(),
  bucket: fc.boolean(),
  pack: fc.constantFrom(undefined, 70, 96, 127),
});

it('every epoch holds each sequence once, whatever was asked before', () => {
  fc.assert(
    fc.property(settings, fc.infiniteStream(fc.nat({ max: 60 })), ({ lengths, ...given }, asked) => {
      const options = given.pack === undefined ? given : { ...given, bucket: false };
      const { count, rows } = arrange(lengths, options);
      for (const epoch of [0, 1, 2]) {
        const batches = order(count).map((k) => rows(epoch * count + k));
        expect(batches.flat(2).sort((a, b) => a - b)).toEqual(order(lengths.length));
        expect(batches.filter((b) => b.length < options.batch).length).toBeLessThanOrEqual(1);
        for (const row of batches.flat()) {
          if (options.pack === undefined) expect(row).toHaveLength(1);
          else expect(sum(row.map((i) => lengths[i]!))).toBeLessThanOrEqual(options.pack);
        }
      }
      const other = arrange(lengths, options);
      for (const index of Array.from({ length: 8 }, () => asked.next().value)) expect(other.rows(index)).toEqual(rows(index));
    }),
    { numRuns: 200 },
  );
});

it('packs as best fit decreasing does, whatever the order of the sequences', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 120 }), fc.constantFrom(100, 128, 131), fc.nat(), (lengths, length, seed) => {
      const orders = [order(lengths.length), order(lengths.length).sort((a, b) => ((a * 7919 + seed) % 101) - ((b * 7919 + seed) % 101))];
      for (const own of orders) {
        const rows = packRows(lengths, length, own);
        expect(rows).toHaveLength(plainPacking(lengths, length));
        expect(rows.flat().sort((a, b) => a - b)).toEqual(order(lengths.length));
      }
    }),
  );
});

withFixtures('data', (root) => {
  const cases = readJson(join(root, 'packing.json')) as unknown as readonly PackingCase[];
  it.each(cases.map((c) => [c.name, c] as const))('packing.json: %s', (_name, { length, lengths, expected }) => {
    const cut = lengths.map((n) => Math.min(n, length));
    const rows = packRows(cut, length, order(cut.length));
    expect(rows.flat().sort((a, b) => a - b)).toEqual(order(expected.sequences));
    expect(sum(rows.flat().map((i) => cut[i]!))).toBe(expected.tokens);
    for (const row of rows) expect(sum(row.map((i) => cut[i]!))).toBeLessThanOrEqual(length);
    expect(rows.length).toBeLessThanOrEqual(expected.max_bins);
    expect(rows.length).toBeGreaterThanOrEqual(expected.lower_bound);
  });
});

interface PackingCase {
  readonly name: string;
  readonly length: number;
  readonly lengths: readonly number[];
  readonly expected: { readonly sequences: number; readonly tokens: number; readonly max_bins: number; readonly lower_bound: number };
}

it('with buckets the rows of a batch are of like length, and the order of batches is drawn', () => {
  const lengths = Array.from({ length: 64 }, (_, i) => 1 + ((i * 37) % 64));
  const { count, rows } = arrange(lengths, { batch: 4, seed: 3, shuffle: true, bucket: true });
  const longest = order(count).map((k) => rows(k).map(([i]) => lengths[i!]!));
  for (const batch of longest) expect(Math.max(...batch) - Math.min(...batch)).toBe(3);
  expect(longest.map((b) => b[0])).not.toEqual([...longest].map((b) => b[0]).sort((a, b) => a! - b!));
  expect(order(count).map((k) => rows(count + k))).not.toEqual(order(count).map((k) => rows(k)));
});

const sequence = (...tokens: number[]): Sequence => ({ tokens: Int32Array.from(tokens), labels: Int32Array.from(tokens) });

it('a packed row: segments from 1, positions from 0 in each, no target across a border, padding apart', () => {
  const { sizes, inputs, tokens, counted } = collateRows([[sequence(5, 6, 7), sequence(8, 9)], [sequence(4, 3)]], 10, 0);
  expect(sizes).toEqual({ B: 2, T: 5 });
  expect(inputs).toEqual({
    tokens: Int32Array.of(5, 6, 7, 8, 9, 4, 3, 0, 0, 0),
    segments: Int32Array.of(1, 1, 1, 2, 2, 1, 1, 0, 0, 0),
    positions: Int32Array.of(0, 1, 2, 0, 1, 0, 1, 2, 3, 4),
    targets: Int32Array.of(6, 7, -100, 9, -100, 3, -100, -100, -100, -100),
  });
  expect({ tokens, counted }).toEqual({ tokens: 7, counted: 4 });
});

it('the last batch of an epoch has what is left, and no sequence comes twice', () => {
  const all = [1, 2, 3, 4, 5].map((t) => sequence(t, t));
  const source = sequenceBatches(all, { batch: 8, seed: 1, shuffle: true, vocabSize: 9, padId: 0 });
  expect(source.count).toBe(1);
  for (const k of [0, 1]) expect(source.at(k).sizes['B']).toBe(5);
  const twos = sequenceBatches(all, { batch: 2, seed: 1, shuffle: false, vocabSize: 9, padId: 0 });
  expect(order(4).map((k) => twos.at(k).sizes['B'])).toEqual([2, 2, 1, 2]);
});

it.each([
  [{}, 5, { steps: 3, microBatches: 5 }],
  [{ epochs: 2 }, 5, { steps: 5, microBatches: 10 }],
  [{ epochs: 0.1 }, 30, { steps: 2, microBatches: 3 }],
  [{ epochs: 0.5 }, 5, { steps: 2, microBatches: 3 }],
  [{ steps: 3 }, 5, { steps: 3, microBatches: 6 }],
  [{ steps: 3, epochs: 1 }, 5, { steps: 3, microBatches: 5 }],
  [{ steps: 4, epochs: 1 }, 5, { steps: 4, microBatches: 8 }],
])('%j over %p micro-batches, two a step: %j', (given, count, expected) => {
  const { steps, epochs } = given as { steps?: number; epochs?: number };
  expect(runLength({ steps, epochs, accumulate: 2 }, count)).toEqual(expected);
  expect(lengthNotes({ steps, epochs, accumulate: 2 }, count)).toEqual(steps === 4 ? ['steps (4) are given, so epochs (1) changes nothing'] : []);
});

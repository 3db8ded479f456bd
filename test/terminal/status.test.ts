/** @file The line of status: what it says in how many columns, and that it is never wider than the terminal. */

import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { duration } from '../../src/run/progress.ts';
import { type Layout, LOG, type Status, type StepsStatus, statusLine, type WorkStatus } from '../../src/terminal/status.ts';
import { columnsOf } from '../../src/terminal/width.ts';

const STEPS: StepsStatus = {
  kind: 'steps',
  step: 120,
  steps: 1000,
  loss: 1.23456,
  smoothed: 1.30123,
  speed: 812.4,
  counts: 'tokens',
  dropped: 0.5,
  leftMs: 754_000,
  forMs: 1999,
};
const HUGE: StepsStatus = {
  ...STEPS,
  step: 123_456_789,
  steps: 1_000_000_000,
  loss: 1.5e12,
  smoothed: -3.25e20,
  speed: 4.2e9,
  leftMs: 3.2e9,
};
const some = (what: string, change: Partial<WorkStatus> = {}): WorkStatus => ({ what, count: null, leftMs: null, forMs: 0, ...change });
const work = (...given: Parameters<typeof some>): Status => ({ kind: 'work', works: [some(...given)] });
const count = (done: number, total: number, unit: 'bytes' | 'pieces' = 'pieces') => ({ count: { unit, done, total } });
const WIDE = '日本語のデータ集合と長い名前のファイル.jsonl を読む';

it.each<[what: string, Status, columns: number, line: string]>([
  ['all of a run', STEPS, 79, 'step 120/1000  loss 1.2346  mean 1.3012  812 tok/s  dropped 50 %  eta 12m34s'],
  ['a bar, where there is room', STEPS, 100, 'step 120/1000  ██░░░░░░░░░░░░░░░░░░  loss 1.2346  mean 1.3012  812 tok/s  dropped 50 %  eta 12m34s'],
  ['less of a run, in 40 columns', STEPS, 40, 'step 120/1000  loss 1.2346  eta 12m34s'],
  ['less still', STEPS, 30, 'step 120/1000  loss 1.2346'],
  ['no more than there is room for', STEPS, 8, 'step 12…'],
  ['huge numbers', HUGE, 79, 'step 123456789/1000000000  loss 1.500e+12  4e+9 tok/s  drop 50 %  eta 37d00h'],
  [
    'samples, where there are no tokens',
    { ...STEPS, counts: 'samples', speed: 3.456 },
    79,
    'step 120/1000  loss 1.2346  mean 1.3012  3.5 samples/s  drop 50 %  eta 12m34s',
  ],
  ['no share of a model without units', { ...STEPS, dropped: null }, 70, 'step 120/1000  loss 1.2346  mean 1.3012  812 tok/s  eta 12m34s'],
  ['no time before steps were measured', { ...STEPS, leftMs: null }, 70, 'step 120/1000  loss 1.2346  mean 1.3012  812 tok/s  dropped 50 %'],
  ['that the next step takes long', { ...STEPS, leftMs: null, forMs: 65_000 }, 46, 'step 120/1000 +1m05s  loss 1.2346  812 tok/s'],
  ['a loss that is no number', { ...STEPS, loss: Number.NaN, leftMs: null }, 40, 'step 120/1000  loss NaN  812 tok/s'],
  ['work of unknown length', work('compiling the model', { forMs: 999 }), 79, 'compiling the model'],
  ['how long it has gone on', work('compiling the model', { forMs: 61_000 }), 79, 'compiling the model  1m01s'],
  ['pieces', work('compiling kernels', count(12, 71)), 60, 'compiling kernels  ███░░░░░░░░░░░░░░░░░  12/71'],
  ['bytes', work('hashing big.jsonl', count(2 ** 20, 2 ** 30, 'bytes')), 79, 'hashing big.jsonl  ░░░░░░░░░░░░░░░░░░░░  1/1024 MiB'],
  ['time that is left', work('measuring kernels', { ...count(3, 34), leftMs: 12_345 }), 52, 'measuring kernels  █░░░░░░░  3/34  at most 12 s left'],
  ['a name that is cut before its numbers', work(WIDE, count(7, 9)), 30, '日本語のデータ集合と長い…  7/9'],
  ['a name that would move the cursor', work('reading a\n\u001b[2Jb'), 79, 'reading a��[2Jb'],
  [
    'work at the same time',
    { kind: 'work', works: [some('compiling kernels', count(12, 71)), some('tokenising a.jsonl', { ...count(0, 9), forMs: 3000 })] },
    79,
    'compiling kernels, 12/71 · tokenising a.jsonl, 0/9, 3 s',
  ],
  [
    'the latest of it, where there is no room for both',
    { kind: 'work', works: [some('compiling kernels', count(12, 71)), some('tokenising a.jsonl', count(0, 9))] },
    40,
    'compiling kernels  ██░░░░░░░░░░░░  12/71',
  ],
])('says %s', (_, status, columns, line) => {
  expect(statusLine(status, { columns, bar: 'plain' })).toBe(line);
});

it('has no colour but in the bar, and none where none is wanted', () => {
  const coloured = statusLine(STEPS, { columns: 100, bar: 'coloured' });
  expect(stripVTControlCharacters(coloured)).toBe(statusLine(STEPS, { columns: 100, bar: 'plain' }));
  expect(coloured).toContain('\u001b[36m██\u001b[39m');
  expect(statusLine(STEPS, { columns: 79, bar: 'coloured' })).not.toContain('\u001b');
  expect(statusLine(STEPS, LOG)).toBe('step 120/1000  loss 1.2346  mean 1.3012  812 tok/s  dropped 50 %  eta 12m34s');
});

it.each([
  [-5, '0 s'],
  [59_400, '59 s'],
  [59_600, '1m00s'],
  [3_599_000, '59m59s'],
  [3_600_000, '1h00m'],
  [86_399_000, '23h59m'],
  [90_000_000, '1d01h'],
])('%d ms are %s', (ms, text) => expect(duration(ms)).toBe(text));

const anyNumber = fc.oneof(fc.double(), fc.integer({ min: 0, max: 1e6 }), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 1e300));
const anyCount = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const anyTime = fc.double({ min: 0, max: 1e15, noNaN: true });
const anySteps: fc.Arbitrary<Status> = fc.record({
  kind: fc.constant('steps' as const),
  step: anyCount,
  steps: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  loss: anyNumber,
  smoothed: anyNumber,
  speed: anyNumber,
  counts: fc.constantFrom('tokens' as const, 'samples' as const),
  dropped: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }),
  leftMs: fc.option(anyTime, { nil: null }),
  forMs: anyTime,
});
const anyName = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.constantFrom(WIDE, '👩‍👩‍👧‍👦'.repeat(9), '\u001b[31m\r\n\t'),
);
const anyWork: fc.Arbitrary<Status> = fc.record({
  kind: fc.constant('work' as const),
  works: fc.array(
    fc.record({
      what: anyName,
      count: fc.option(fc.record({ unit: fc.constantFrom('bytes' as const, 'pieces' as const), done: anyCount, total: anyCount }), { nil: null }),
      leftMs: fc.option(anyTime, { nil: null }),
      forMs: anyTime,
    }),
    { minLength: 1, maxLength: 3 },
  ),
});
const anyLayout: fc.Arbitrary<Layout> = fc.record({ columns: fc.integer({ min: 0, max: 200 }), bar: fc.constantFrom('none', 'plain', 'coloured') });

it('is one line, and never wider than the terminal', () => {
  fc.assert(
    fc.property(fc.oneof(anySteps, anyWork), anyLayout, (status, layout) => {
      const line = statusLine(status, layout);
      expect(columnsOf(line)).toBeLessThanOrEqual(layout.columns);
      const colours = layout.bar === 'coloured' ? line.replace(/\u001b\[(36|2|39|22)m/g, '') : line;
      expect(colours).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: 2000 },
  );
});

/** @file What is known of work and steps, as they tell: speeds and the time to the end come from measured steps alone. */

import type { Progress } from '../../src/run/progress.ts';
import { NOTHING_WATCHED, statusOf, stepsStatus, type Watched, watched, workStatus } from '../../src/terminal/watched.ts';
import type { StepMetrics } from '../../src/train/loop.ts';

const step = (of: number, ms: number, change: Partial<StepMetrics> = {}): Progress => ({
  kind: 'step',
  metrics: { step: of, loss: of, tokens: 100, ms, dropped: [['a'], []], ...change } as unknown as StepMetrics,
  steps: 10,
  units: 4,
});
const after = (told: readonly Progress[], known: Watched = NOTHING_WATCHED): Watched => told.reduce((so, one, i) => watched(so, one, 1000 * i), known);
const stepsOf = ({ steps }: Watched, later = 0) => stepsStatus(steps!, steps!.toldAt + later);

it('steps that compile, and those that wait for them, count neither in the speed nor in the time to the end', () => {
  const slow = [step(1, 60_000), step(2, 9000), step(3, 3000)];
  expect(stepsOf(after(slow))).toMatchObject({ leftMs: null, speed: 100_000 / 3000 });
  expect(stepsOf(after([...slow, step(4, 500), step(5, 1500)]))).toMatchObject({ step: 5, leftMs: 5000, speed: 100 });
});

it('the time to the end runs down while a step is under way', () => {
  const known = after([step(1, 1), step(2, 1), step(3, 1), step(4, 500)]);
  expect([0, 2500, 60_000].map((later) => stepsOf(known, later))).toMatchObject([
    { leftMs: 3000, forMs: 0 },
    { leftMs: 500, forMs: 2500 },
    { leftMs: 0, forMs: 60_000 },
  ]);
});

it('a run that is resumed measures again', () => {
  expect(stepsOf(after([step(6, 60_000), step(7, 500), step(8, 500)]))).toMatchObject({ leftMs: null });
  expect(stepsOf(after([step(6, 60_000), step(7, 500), step(8, 500), step(9, 250)]))).toMatchObject({ leftMs: 250 });
  expect(stepsOf(after([step(6, 60_000), step(7, 500), step(8, 500), step(9, 250), step(10, 250)]))).toMatchObject({ leftMs: null });
});

it('the smoothed loss is a mean that forgets', () => {
  const { smoothed } = stepsOf(after([step(1, 1), step(2, 1), step(3, 1)]));
  expect(smoothed).toBeCloseTo((3 + 0.9 * 2 + 0.81 * 1) / (1 + 0.9 + 0.81), 12);
});

it('a share is dropped of all units in all micro-batches, what is left out of forward too; of no units there is none', () => {
  expect(stepsOf(after([step(1, 1)])).dropped).toBe(1 / 8);
  expect(stepsOf(after([step(1, 1, { skipped: [['b'], ['b', 'c']] })])).dropped).toBe(4 / 8);
  expect(stepsOf(after([{ ...step(1, 1), units: 0 } as Progress])).dropped).toBeNull();
});

it('work goes on until it has ended, the latest first, and its time runs down', () => {
  const told: Progress[] = [
    { kind: 'work', what: 'a', state: 'begun' },
    { kind: 'pieces', what: 'b', unit: 'pieces', done: 0, total: 2, leftMs: 8000 },
    { kind: 'note', text: 'something else' },
    { kind: 'pieces', what: 'b', unit: 'pieces', done: 1, total: 2, leftMs: 5000 },
  ];
  const known = after(told);
  expect(workStatus(known, 4000)).toEqual([
    { what: 'b', count: told[3], leftMs: 4000, forMs: 3000 },
    { what: 'a', count: null, leftMs: null, forMs: 4000 },
  ]);
  expect(workStatus(known, 60_000)[0]).toMatchObject({ leftMs: 0 });
  const ended = after([{ kind: 'pieces', what: 'b', unit: 'pieces', done: 2, total: 2 }], known);
  expect(workStatus(ended, 4000).map(({ what }) => what)).toEqual(['a']);
  expect(statusOf(after([{ kind: 'work', what: 'a', state: 'ended' }], ended), 4000)).toBeNull();
});

it('work is shown before the steps between which it is done', () => {
  const held: Progress = { kind: 'pieces', what: 'held-out evaluation', unit: 'pieces', done: 1, total: 2 };
  const known = after([step(1, 1), held]);
  expect(statusOf(known, 0)).toMatchObject({ kind: 'work' });
  expect(statusOf(after([{ ...held, done: 2 } as Progress], known), 0)).toMatchObject({ kind: 'steps', step: 1 });
});

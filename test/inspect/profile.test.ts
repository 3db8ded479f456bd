/** @file Tables and traces of measured dispatches. */

import { fastest, profileOf, profileText, traceFile } from '../../src/inspect/profile.ts';
import type { DispatchTime } from '../../src/runtime/dispatchTimes.ts';

const time = (site: string, phase: DispatchTime['phase'], kernel: string, start: number, ms: number): DispatchTime => ({
  site,
  phase,
  function: 'mlp.fwd',
  kernel,
  start: start * 1e6,
  end: (start + ms) * 1e6,
  flops: 2e9,
  bytes: 1e6,
});
const STEP = [time('a', 'forward', 'dot', 0, 100), time('a', 'forward', 'row', 100, 50), time('b', 'backward', 'dot', 150, 40)];
const roof = { gflops: 40, gbps: 10 };

it('takes the least of every dispatch', () => {
  const slower = STEP.map((t, i) => ({ ...t, end: t.start + (i === 1 ? 20e6 : 2 * (t.end - t.start)) }));
  expect(fastest([STEP, slower]).map((t) => (t.end - t.start) / 1e6)).toEqual([100, 20, 40]);
});

it('sums by kernel and by unit, the longest first', () => {
  const profile = profileOf(STEP, roof);
  expect(profile).toMatchObject({ ms: 190, dispatches: 3 });
  expect(profile.byKernel.map((r) => [r.name, r.dispatches, r.ms, r.flops])).toEqual([
    ['@mlp.fwd dot', 2, 140, 4e9],
    ['@mlp.fwd row', 1, 50, 2e9],
  ]);
  expect(profile.byUnit.map((r) => [r.name, r.ms])).toEqual([
    ['a forward', 150],
    ['b backward', 40],
  ]);
  // 4 GFLOP in 140 ms are 28.57 GFLOP/s of 40
  expect(profileText(profile)).toMatch(/@mlp\.fwd dot +2 +140\.000 +73\.7 +28\.57 +0\.01 +71 %/);
  expect(profileText(profile)).toMatch(/3 dispatches, one at a time: 190\.0 ms, 6\.00 GFLOP, 31\.58 GFLOP\/s/);
});

it('is a trace of calls and their kernels in microseconds', () => {
  const { traceEvents } = JSON.parse(traceFile(STEP)) as { traceEvents: { name: string; ph: string; ts: number; dur: number; tid: number; args?: object }[] };
  const spans = (tid: number) => traceEvents.filter((e) => e.ph === 'X' && e.tid === tid).map((e) => [e.name, e.ts, e.dur]);
  expect(spans(1)).toEqual([
    ['a forward', 0, 150_000],
    ['b backward', 150_000, 40_000],
  ]);
  expect(spans(2)).toEqual([
    ['dot', 0, 100_000],
    ['row', 100_000, 50_000],
    ['dot', 150_000, 40_000],
  ]);
  expect(traceEvents.find((e) => e.name === 'row')?.args).toMatchObject({ site: 'a', flops: 2e9, gflops: 40 });
});

/** @file Attention kernels on the interpreter against plain loops. */

import fc from 'fast-check';
import { attentionForward, attentionKeyGradient, attentionQueryGradient } from '../../src/codegen/kernel/attention/kernels.ts';
import { type RowsSchedule, rows } from '../../src/codegen/kernel/attention/rows/schedule.ts';
import { type AttentionSchedule, attentionCandidates, fitsAttention, standardAttention } from '../../src/codegen/kernel/attention/schedule.ts';
import type { AttentionKernel, AttentionWork } from '../../src/codegen/kernel/attention/work.ts';
import type { DeviceTraits } from '../../src/codegen/kernel/device.ts';
import type { Kernel } from '../../src/codegen/kernel/ir.ts';
import { attentionData, attentionDims, attentionParams, attentionReference, attentionSpec } from '../support/attentionCase.ts';
import { expectAttention } from '../support/attentionRun.ts';
import { expectClose } from '../support/close.ts';
import { interpretRun } from '../support/interpretRun.ts';
import { ATTENTION_CASES, attentionSchedules } from '../support/kernelCases.ts';

const SUBGROUP = 4;
const splitsOf = (schedule: AttentionSchedule): number => (schedule.kind === 'rows' ? schedule.splits : 1);
const invocationsOf = (schedule: AttentionSchedule): number =>
  schedule.kind === 'rows' ? schedule.lanes * schedule.splits * schedule.dimLanes : schedule.lanes;
const run = async (...args: Parameters<typeof interpretRun>): Promise<ReturnType<typeof interpretRun>> => interpretRun(args[0], args[1], SUBGROUP);

describe.each(Object.entries(ATTENTION_CASES))('attention, %s', (_name, c) => {
  it.each(Object.entries(attentionSchedules(c.headDim, SUBGROUP)))('%s', async (_schedule, schedule) => {
    await expectAttention(c, schedule, run);
  });
  it('with fixed sizes', () => expectAttention(c, rows({ lanes: 2, rows: 1 }), run, true));
});

describe('a window far from the ends of a sequence', () => {
  const c = { batch: 1, queries: 40, keys: 40, heads: 2, kvHeads: 1, headDim: 16, causal: true, window: 4 } as const;
  const data = attentionData(c);
  const wanted = attentionReference(c, data);
  const spec = attentionSpec(c);
  /** Values of [tokens, heads, headDim] of which those of some tokens are NaN: what is walked over spoils sums, also where its weight is 0. */
  const spoilt = (values: Float32Array, heads: number, from: number, to: number): Float32Array =>
    values.map((x, i) => {
      const token = Math.floor(i / (heads * c.headDim));
      return from <= token && token < to ? Number.NaN : x;
    });
  const rowsOf = (values: ArrayLike<number>, heads: number, from: number, to: number): number[] =>
    Array.from(values).slice(from * heads * c.headDim, to * heads * c.headDim);

  it.each(Object.entries(attentionSchedules(c.headDim, SUBGROUP)))(
    '%s: keys and queries that it hides from a whole tile are not walked over',
    (_n, schedule) => {
      const ran = (kernel: Kernel, given: Readonly<Record<string, Float32Array>>): ReturnType<typeof interpretRun> => {
        const buffers = Object.fromEntries(
          kernel.buffers.map(({ name }) => [name, given[name] ?? Float32Array.from({ ...wanted, ...data }[name as keyof typeof wanted])]),
        );
        return interpretRun(kernel, { params: attentionParams(c), dims: attentionDims(c), buffers }, SUBGROUP);
      };
      // no tile is taller than 8 rows
      const keys = { k: spoilt(data.k, c.kvHeads, 0, 8), v: spoilt(data.v, c.kvHeads, 0, 8) };
      for (const [kernel, name] of [
        [attentionForward(spec, schedule), 'out'],
        [attentionQueryGradient(spec, schedule), 'dq'],
      ] as const)
        expectClose(rowsOf(ran(kernel, keys)[name]!, c.heads, 24, 40), rowsOf(wanted[name], c.heads, 24, 40), 2e-5, name);
      const queries = { q: spoilt(data.q, c.heads, 32, 40), dout: spoilt(data.dout, c.heads, 32, 40) };
      const got = ran(attentionKeyGradient(spec, schedule), queries);
      for (const name of ['dk', 'dv'] as const) expectClose(rowsOf(got[name]!, c.kvHeads, 0, 16), rowsOf(wanted[name], c.kvHeads, 0, 16), 2e-5, name);
    },
  );
});

it('merges split walks whichever lane comes first', async () => {
  const c = ATTENTION_CASES['rotated, pairs in two of four lanes'] as (typeof ATTENTION_CASES)[string];
  const split = Object.values(attentionSchedules(c.headDim, SUBGROUP)).filter((schedule) => splitsOf(schedule) > 1);
  for (const schedule of split) await expectAttention(c, schedule, async (kernel, input) => interpretRun(kernel, input, SUBGROUP, true));
});

it('attends over random shapes with random masks', async () => {
  const small = fc.integer({ min: 1, max: 7 });
  const cases = fc.record({
    batch: fc.integer({ min: 1, max: 2 }),
    queries: small,
    keys: small,
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 2 }),
    headDim: fc.integer({ min: 1, max: 18 }),
    causal: fc.boolean(),
    segments: fc.boolean(),
    window: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    position: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    softCap: fc.option(fc.constantFrom(0.5, 3), { nil: undefined }),
    rotated: fc.boolean(),
    schedule: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ group, schedule, window, position, softCap, rotated, ...c }) => {
      const full = {
        ...c,
        rotated: rotated && c.headDim % 2 === 0,
        heads: c.kvHeads * group,
        ...(window === undefined ? {} : { window }),
        ...(position === undefined ? {} : { position }),
        ...(softCap === undefined ? {} : { softCap }),
      };
      const choices = Object.values(attentionSchedules(c.headDim, SUBGROUP));
      await expectAttention(full, choices[schedule % choices.length] as (typeof choices)[number], run);
    }),
    { numRuns: 60 },
  );
});

it.each(['nvidia', 'intel', 'lavapipe', 'swiftshader', 'other'] as const)(
  'the default schedules for %s are valid and right',
  async (kind) => {
    const software = kind === 'lavapipe' || kind === 'swiftshader';
    const device = {
      kind,
      subgroups: kind !== 'other',
      subgroupSize: software ? SUBGROUP : null,
      maxInvocations: 256,
      maxWorkgroupStorage: 16384,
    };
    for (const kernel of ['forward', 'queryGradient', 'keyGradient'] satisfies AttentionKernel[]) {
      for (const [own, others, headDim] of [
        [1, 512, 64],
        [256, 256, 64],
        [100, 100, 20],
        [64, 64, 128],
        [8, 8, 10],
        [512, 512, 256],
      ] as const) {
        const schedule = standardAttention(device, { kernel, rows: own, others, headDim, sets: 8 });
        expect(invocationsOf(schedule)).toBeLessThanOrEqual(256);
        expect(fitsAttention(schedule, device, headDim)).toBe(true);
        if (headDim < 100) await expectAttention({ batch: 1, queries: 3, keys: 5, heads: 2, kvHeads: 1, headDim, causal: true, position: 2 }, schedule, run);
      }
    }
  },
  60_000,
);

describe('on a GPU', () => {
  const device: DeviceTraits = { kind: 'nvidia', subgroups: true, subgroupSize: 32, maxInvocations: 256, maxWorkgroupStorage: 16384 };
  const KERNELS = ['forward', 'queryGradient', 'keyGradient'] satisfies AttentionKernel[];
  const standardRows = (work: AttentionWork): RowsSchedule => {
    const schedule = standardAttention(device, work);
    if (schedule.kind !== 'rows') throw new Error(`a GPU starts with ${schedule.kind}`);
    return schedule;
  };
  const inFlight = (own: number, sets: number, s: RowsSchedule): number => sets * Math.ceil(own / s.rows) * s.splits * s.dimLanes;

  it.each(KERNELS)('%s has tens of thousands of lanes in flight, split no further than it takes', (kernel) => {
    for (const [own, sets] of [
      [256, 8],
      [512, 64],
      [2048, 128],
    ] as const) {
      const schedule = standardRows({ kernel, rows: own, others: own, headDim: 64, sets });
      expect(inFlight(own, sets, schedule)).toBeGreaterThanOrEqual(32768);
      if (schedule.splits > 1) expect(inFlight(own, sets, schedule)).toBeLessThanOrEqual(65536);
    }
    const short = standardRows({ kernel, rows: 64, others: 32, headDim: 64, sets: 1 });
    expect(short.splits).toBeLessThanOrEqual(4);
  });

  it.each(KERNELS)('%s is measured split more and less, within what the device has', (kernel) => {
    for (const headDim of [64, 128, 256]) {
      const work: AttentionWork = { kernel, rows: 256, others: 256, headDim, sets: 8 };
      const candidates = attentionCandidates(device, work);
      expect(Math.min(...candidates.map(splitsOf))).toBeLessThan(standardRows(work).splits);
      if (headDim === 64) expect(candidates.length).toBeGreaterThan(4);
      for (const s of candidates) expect(fitsAttention(s, device, headDim)).toBe(true);
    }
    const fits = rows({ lanes: 4, rows: 1, splits: 16, dimLanes: 4 });
    expect(fitsAttention(fits, device, 64)).toBe(true);
    expect(fitsAttention(fits, device, 256)).toBe(false);
    expect(fitsAttention({ ...fits, splits: 12 }, device, 64)).toBe(false);
  });
});

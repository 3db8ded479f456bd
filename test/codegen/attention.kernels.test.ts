/** @file Attention kernels on an adapter against plain loops. */

import { type AttentionSchedule, standardAttention } from '../../src/codegen/kernel/attention/schedule.ts';
import { expectAttention } from '../support/attentionRun.ts';
import { ATTENTION_CASES, attentionSchedules } from '../support/kernelCases.ts';
import { runKernel } from '../support/runKernel.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

it.each(Object.entries(ATTENTION_CASES))(
  'attends and differentiates: %s',
  async (name, c) => {
    const schedules = Object.values(attentionSchedules(c.headDim, opened.traits.subgroupSize));
    const index = Object.keys(ATTENTION_CASES).indexOf(name);
    // each case on two schedules, so that the table covers all without compiling every pair
    for (const schedule of [schedules[index % schedules.length], schedules[(index + 3) % schedules.length]]) {
      await expectAttention(c, schedule as AttentionSchedule, (kernel, run) => runKernel(opened.device, kernel, run));
    }
  },
  120_000,
);

it('attends with the default schedule of this device at a real head size', async () => {
  const c = { batch: 2, queries: 37, keys: 37, heads: 3, kvHeads: 1, headDim: 64, causal: true, rotated: true };
  const schedule = standardAttention(opened.traits, {
    kernel: 'keyGradient',
    rows: c.keys,
    others: c.queries,
    headDim: c.headDim,
    sets: c.batch * c.kvHeads,
  });
  await expectAttention(c, schedule, (kernel, run) => runKernel(opened.device, kernel, run));
});

it('attends and differentiates with what a GPU starts with', async () => {
  const c = { batch: 1, queries: 37, keys: 37, heads: 2, kvHeads: 1, headDim: 32, causal: true, segments: 'shared', rotated: true } as const;
  const gpu = { ...opened.traits, kind: 'nvidia' } as const;
  const schedule = standardAttention(gpu, { kernel: 'keyGradient', rows: 256, others: 256, headDim: c.headDim, sets: 8 });
  expect(schedule.kind === 'rows' && schedule.splits).toBeGreaterThan(4);
  await expectAttention(c, schedule, (kernel, run) => runKernel(opened.device, kernel, run));
});

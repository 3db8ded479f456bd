/** @file Runs all attention kernels of a case through some way of running kernels, each against the f64 reference. */

import { attentionForward, attentionKeyGradient, attentionQueryGradient, attentionStats } from '../../src/codegen/kernel/attention/kernels.ts';
import type { AttentionSchedule } from '../../src/codegen/kernel/attention/schedule.ts';
import type { Kernel } from '../../src/codegen/kernel/ir.ts';
import { type AttentionCase, attentionData, attentionDims, attentionParams, attentionReference, attentionSpec } from './attentionCase.ts';
import { expectClose } from './close.ts';
import type { Data, KernelRun } from './runKernel.ts';

export type Runner = (kernel: Kernel, run: KernelRun) => Promise<Record<string, Data>>;

/** Every input and expected result by buffer name. */
export async function expectAttention(c: AttentionCase, schedule: AttentionSchedule, run: Runner, fixed = false): Promise<void> {
  const data = attentionData(c);
  const wanted = attentionReference(c, data);
  const spec = attentionSpec(c, fixed);
  const kernels: [Kernel, readonly (keyof typeof wanted)[]][] = [
    [attentionForward(spec, schedule), ['out', 'lse']],
    [attentionStats(spec), ['stats']],
    [attentionQueryGradient(spec, schedule), ['dq']],
    [attentionKeyGradient(spec, schedule), ['dk', 'dv']],
  ];
  for (const [kernel, results] of kernels) {
    const value = (name: string): Data => {
      // results start as garbage: every element must be written
      if ((results as readonly string[]).includes(name)) return new Float32Array(wanted[name as keyof typeof wanted].length).fill(77);
      if (name in data) return data[name as keyof typeof data];
      return Float32Array.from(wanted[name as keyof typeof wanted]);
    };
    const buffers = Object.fromEntries(kernel.buffers.map(({ name }) => [name, value(name)]));
    const got = await run(kernel, { params: attentionParams(c), dims: attentionDims(c), buffers });
    for (const name of results) expectClose(got[name] as Data, wanted[name], 2e-5, `${name} of ${JSON.stringify(c)} with ${JSON.stringify(schedule)}`);
  }
}

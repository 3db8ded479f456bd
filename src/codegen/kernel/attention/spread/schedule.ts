/**
 * @file Schedules of kind `spread`: a workgroup is one subgroup, over which its rows are spread; lanes go along the other side for the scores and along
 * the head dimension for the sums, to which weights come by broadcast. It unrolls to little code, as compilers of software adapters want it.
 */

import { type DeviceTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { type AttentionWork, MOST_ROWS, powerAtMost } from '../work.ts';

export const SPREAD = {
  kind: 'spread',
  fields: {
    /** Rows of a subgroup. */
    rows: { holds: 'count', text: '# rows' },
    /** Lanes: all of the subgroup's. */
    lanes: { holds: 'count', text: '# lanes' },
  },
} as const;

export type SpreadSchedule = ScheduleOf<typeof SPREAD>;

export const spread = scheduleMaker(SPREAD);

/** Whether a device can run a schedule, which may come from a file. */
export function fitsSpread({ lanes, rows }: SpreadSchedule, device: DeviceTraits): boolean {
  return rows >= 1 && rows <= MOST_ROWS && lanes <= device.maxInvocations && device.subgroups && lanes === device.subgroupSize;
}

/**
 * What a CPU starts with; null on a GPU, and without subgroups of a known size. In a causal step of 2 × 256 tokens with 4 heads of 64, forward, dQ and
 * dK with dV reach 28, 23 and 23 GFLOP/s on lavapipe (8, 8 and 9 where every lane loads the rows itself), and 2.6, 2.7 and 2.7 on SwiftShader.
 */
export function standardSpread(device: DeviceTraits, work: AttentionWork): SpreadSchedule | null {
  const traits = kindTraits(device);
  const lanes = device.subgroupSize;
  if (!traits.lanesInTurn || lanes === null) return null;
  const units = work.headDim % 4 === 0 ? work.headDim / 4 : work.headDim;
  const { held, most } = traits.spreadRows[work.kernel === 'forward' ? 'forward' : 'gradient'];
  return spread({ lanes, rows: powerAtMost(Math.min(most, held / Math.ceil(units / lanes), work.rows)) });
}

/** A standard schedule with half and with twice the rows. */
export function spreadCandidates(standard: SpreadSchedule, device: DeviceTraits): readonly SpreadSchedule[] {
  return [0.5, 2].map((factor) => ({ ...standard, rows: standard.rows * factor })).filter((schedule) => fitsSpread(schedule, device));
}

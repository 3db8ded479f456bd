/**
 * @file Schedules of kind `spread`: a workgroup is one subgroup, over which its rows are spread; lanes go along the other side for the scores and along
 * the head dimension for the sums, weights passing by broadcast. Little unrolled code: for software adapters.
 */

import { type DeviceTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { type AttentionWork, MOST_ROWS, powerAtMost } from '../work.ts';

export const SPREAD = {
  kind: 'spread',
  fields: {
    /** Rows of a subgroup. */
    rows: { holds: 'count', text: '# rows' },
    /** All of the subgroup. */
    lanes: { holds: 'count', text: '# lanes' },
  },
} as const;

export type SpreadSchedule = ScheduleOf<typeof SPREAD>;

export const spread = scheduleMaker(SPREAD);

/** Whether a device can run a schedule. Also for schedules that come from a file. */
export function fitsSpread({ lanes, rows }: SpreadSchedule, device: DeviceTraits): boolean {
  return rows >= 1 && rows <= MOST_ROWS && lanes <= device.maxInvocations && device.subgroups && lanes === device.subgroupSize;
}

/**
 * What a CPU starts with; null on a GPU, and without subgroups of a known size. Measured causal in a step of 2 × 256 tokens, 4 heads of 64, GFLOP/s
 * forward, dQ, dK/dV: lavapipe 28, 23, 23 (8, 8, 9 where every lane loads the rows itself), SwiftShader 2.6, 2.7, 2.7.
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

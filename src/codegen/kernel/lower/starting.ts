/** @file The schedules that kernels start with, and those worth measuring. A target says what they are, and may have its own. */

import { type AttentionSchedule, attentionCandidates, standardAttention } from '../attention/schedule.ts';
import type { AttentionWork } from '../attention/work.ts';
import type { DeviceTraits } from '../device.ts';
import { matmulCandidates } from '../matmul/candidates.ts';
import type { MatmulSchedule } from '../matmul/schedule.ts';
import { standardMatmul } from '../matmul/standard.ts';
import type { MatmulWork } from '../matmul/work.ts';

interface StartingWith<Work, S> {
  /** What a device starts with, within its limits. */
  readonly standard: (device: DeviceTraits, work: Work) => S;
  /** Others within its limits, the likeliest first. */
  readonly candidates: (device: DeviceTraits, work: Work) => readonly S[];
}

export interface StartingSchedules {
  readonly matmul: StartingWith<MatmulWork, MatmulSchedule>;
  readonly attention: StartingWith<AttentionWork, AttentionSchedule>;
}

/** What devices start with by their kind, as ../device.ts and the kinds of schedules say. */
export const STARTING_SCHEDULES: StartingSchedules = {
  matmul: { standard: standardMatmul, candidates: matmulCandidates },
  attention: { standard: standardAttention, candidates: attentionCandidates },
};

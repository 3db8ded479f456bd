/** @file How an attention kernel is cut: a schedule of one of two kinds, `rows` for GPUs, `spread` for CPUs. */

import type { DeviceTraits } from '../device.ts';
import { fitsRows, type RowsSchedule, rowsCandidates, standardRows } from './rows/schedule.ts';
import { fitsSpread, type SpreadSchedule, spreadCandidates, standardSpread } from './spread/schedule.ts';
import type { AttentionWork } from './work.ts';

export type AttentionSchedule = RowsSchedule | SpreadSchedule;

export function isAttentionSchedule(schedule: { readonly kind: string }): schedule is AttentionSchedule {
  return schedule.kind === 'rows' || schedule.kind === 'spread';
}

/** Whether a device can run a schedule for heads of that size. Also for schedules that come from a file. */
export function fitsAttention(schedule: AttentionSchedule, device: DeviceTraits, headDim: number): boolean {
  return schedule.kind === 'rows' ? fitsRows(schedule, device, headDim) : fitsSpread(schedule, device);
}

/** What a device starts with. */
export function standardAttention(device: DeviceTraits, work: AttentionWork): AttentionSchedule {
  return standardSpread(device, work) ?? standardRows(device, work);
}

/** The schedule of the same kind that does least at once. (One of the other kind would take a CPU's compiler half a minute.) */
export function plainAttention(schedule: AttentionSchedule): AttentionSchedule {
  return schedule.kind === 'rows' ? { ...schedule, rows: 1, splits: 1 } : { ...schedule, rows: 1 };
}

/** Schedules worth measuring, the likeliest first: variations of what the device starts with. */
export function attentionCandidates(device: DeviceTraits, work: AttentionWork): readonly AttentionSchedule[] {
  const standard = standardAttention(device, work);
  return standard.kind === 'rows' ? rowsCandidates(standard, device, work.headDim) : spreadCandidates(standard, device);
}

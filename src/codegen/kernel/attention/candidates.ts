/** @file The attention schedules that are measured, and whether a device can run one. */

import { type DeviceTraits, kindTraits } from '../device.ts';
import type { AttentionSchedule } from './spec.ts';
import { mergeBytes } from './splits.ts';
import { mostInvocations, NARROWEST } from './standard.ts';

/** Factors of a GPU's standard attention schedule: the same lanes in flight cut otherwise, then more and fewer of them. */
const ATTENTION: readonly { readonly rows?: number; readonly splits?: number; readonly lanes?: number }[] = [
  { splits: 2, lanes: 0.5 },
  { splits: 0.5, lanes: 2 },
  { rows: 0.5, splits: 0.5 },
  { rows: 2, splits: 2 },
  { rows: 0.5 },
  { rows: 2 },
  { splits: 2 },
  { splits: 0.5 },
  { lanes: 0.5 },
  { lanes: 2 },
];

/** On a CPU nothing is split: more and fewer rows, halved and doubled lanes. */
const ATTENTION_SOFTWARE: typeof ATTENTION = [{ rows: 0.5 }, { rows: 2 }, { lanes: 0.5 }, { lanes: 2 }];

/** Variations of the standard attention schedule. Lanes of a subgroup schedule, and the one lane of a decoding one, stay as they are. */
export function attentionCandidates(standard: AttentionSchedule, device: DeviceTraits, headDim: number): AttentionSchedule[] {
  const { lanesInTurn } = kindTraits(device);
  const narrowest = lanesInTurn ? 8 : NARROWEST / standard.dimLanes;
  return (lanesInTurn ? ATTENTION_SOFTWARE : ATTENTION)
    .filter(({ splits = 1, lanes = 1 }) => (standard.kind === 'rows' || splits * lanes === 1) && (standard.lanes > 1 || lanes === 1))
    .map(({ rows = 1, splits = 1, lanes = 1 }) => ({
      ...standard,
      rows: standard.rows * rows,
      splits: standard.splits * splits,
      lanes: standard.lanes * lanes,
    }))
    .filter((s) => s.splits <= 32 && (s.lanes === standard.lanes || s.lanes >= narrowest) && s.lanes * s.splits * s.dimLanes <= mostInvocations(device))
    .filter((s) => fitsAttention(s, device, headDim));
}

/** Whether a device can run an attention schedule for heads of that size. Also for schedules read from a file. */
export function fitsAttention(schedule: AttentionSchedule, device: DeviceTraits, headDim: number): boolean {
  const { kind, lanes, rows, splits, dimLanes } = schedule;
  if (rows < 1 || rows > 8 || lanes * splits * dimLanes > device.maxInvocations) return false;
  if (kind === 'subgroup') return device.subgroups && lanes === device.subgroupSize && splits === 1 && dimLanes === 1;
  if (splits < 1 || !Number.isInteger(Math.log2(splits)) || mergeBytes(schedule, headDim) > device.maxWorkgroupStorage) return false;
  return dimLanes === 1 || (device.subgroups && headDim % (4 * dimLanes) === 0);
}

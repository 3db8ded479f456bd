/** @file Schedules of kind `rows`: a lane keeps rows (queries; keys in the dK/dV kernel) in registers and walks over the other side, whose loads are uniform over the lanes. */

import { type DeviceTraits, type GpuTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { type AttentionKernel, type AttentionWork, MOST_ROWS, powerAtMost } from '../work.ts';

/** A workgroup has lanes × splits × dimLanes invocations. */
export const ROWS = {
  kind: 'rows',
  fields: {
    /** Rows of a lane. */
    rows: { holds: 'count', text: '# rows a lane' },
    /** Lanes along the rows. */
    lanes: { holds: 'count', text: '# lanes' },
    /** A power of two: that many lanes take every splits-th step of the same rows' walk and merge at the end, where rows are few for a GPU. */
    splits: { holds: 'count', text: '# splits', usual: 1 },
    /** That many neighbours of one subgroup share a row's head dimension: 1, 2, 4 or 8, dividing headDim / 4. */
    dimLanes: { holds: 'count', text: '# lanes a row', usual: 1 },
  },
} as const;

export type RowsSchedule = ScheduleOf<typeof ROWS>;

export const rows = scheduleMaker(ROWS);

/** Bytes of workgroup memory that merging splits takes at most: of one row the chunks a lane sums up, and forward's softmax. */
function mergeBytes({ lanes, splits, dimLanes }: Pick<RowsSchedule, 'lanes' | 'splits' | 'dimLanes'>, headDim: number): number {
  return splits === 1 ? 0 : (splits / 2) * lanes * dimLanes * 16 * (Math.ceil(headDim / 4 / dimLanes) + 1);
}

/** Whether a device can run a schedule for heads of that size. Also for schedules that come from a file. */
export function fitsRows(schedule: RowsSchedule, device: DeviceTraits, headDim: number): boolean {
  const { lanes, splits, dimLanes } = schedule;
  if (schedule.rows < 1 || schedule.rows > MOST_ROWS || lanes * splits * dimLanes > device.maxInvocations) return false;
  if (splits < 1 || !Number.isInteger(Math.log2(splits)) || mergeBytes(schedule, headDim) > device.maxWorkgroupStorage) return false;
  return dimLanes === 1 || (device.subgroups && headDim % (4 * dimLanes) === 0);
}

/** Invocations that a workgroup has at most. */
const mostInvocations = (device: DeviceTraits): number => Math.min(256, device.maxInvocations);

/** Invocations along the rows of a workgroup, at most and at least: more in one read the same keys, fewer make more workgroups and smaller causal tiles. */
const WIDEST = 64;
const NARROWEST = 16;
/** Lanes of a workgroup on a CPU. */
const CPU_LANES = 8;

/**
 * vec4 registers a row takes per chunk (what it holds and what it sums up), and a lane's rows at most. Of a step on an H200, 12 layers of 64 heads of 64 by
 * 512 tokens, milliseconds: forward 5.1 with 2 rows a lane, 5.8 with 4; dQ 4.2 with 4 rows in two splits, 5.3 with 2 in one; dK/dV 4.4 with 1 row, 9.9 with 2.
 */
const HELD: Readonly<Record<AttentionKernel, { readonly each: number; readonly most: number }>> = {
  forward: { each: 2, most: 16 },
  queryGradient: { each: 3, most: 48 },
  keyGradient: { each: 4, most: 16 },
};

/** What a device starts with. On a CPU, which compiles this for 13–45 s, only where there are no subgroups of a known size. */
export function standardRows(device: DeviceTraits, work: AttentionWork): RowsSchedule {
  const traits = kindTraits(device);
  if (traits.lanesInTurn) return rows({ lanes: CPU_LANES, rows: 1 });
  const chunks = Math.ceil(work.headDim / 4);
  const dimLanes = !device.subgroups || work.headDim % 4 !== 0 ? 1 : chunks % 4 === 0 ? 4 : chunks % 2 === 0 ? 2 : 1;
  if (work.kernel === 'forward' && work.rows * dimLanes * 4 <= WIDEST) return decode(device, work, dimLanes);
  return filling(device, traits, work, dimLanes);
}

/** Few queries: lanes go along the keys, as many as workgroup memory can merge. */
function decode(device: DeviceTraits, { others, headDim }: AttentionWork, dimLanes: number): RowsSchedule {
  const fits = (splits: number): boolean => mergeBytes({ lanes: 1, splits, dimLanes }, headDim) <= device.maxWorkgroupStorage;
  return rows({ lanes: 1, rows: 1, splits: powerAtMost(Math.min(32, others, mostInvocations(device) / dimLanes), fits), dimLanes });
}

/** A walk in more parts, or in shorter ones, costs more to merge than it gains. */
const MOST_SPLITS = 16;
const SHORTEST_WALK = 8;

/**
 * As many lanes in flight as the GPU wants. Rows a lane make loads cheap, so they come first, and give way only where splits alone do not fill it;
 * then splits; then workgroups get narrower until every core has some.
 */
function filling(device: DeviceTraits, { busy }: GpuTraits, work: AttentionWork, dimLanes: number): RowsSchedule {
  const { kernel, sets, others, headDim } = work;
  const invocations = mostInvocations(device) / dimLanes;
  const [widest, narrowest] = [WIDEST / dimLanes, NARROWEST / dimLanes];
  const fits = (lanes: number, splits: number): boolean => mergeBytes({ lanes, splits, dimLanes }, headDim) <= device.maxWorkgroupStorage;
  const mostSplits = powerAtMost(Math.min(MOST_SPLITS, others / SHORTEST_WALK, invocations / narrowest), (splits) => fits(narrowest, splits));
  const inFlight = (each: number): number => sets * Math.ceil(work.rows / each) * dimLanes;
  const registers = (HELD[kernel].each * Math.ceil(headDim / 4)) / dimLanes;
  let each = powerAtMost(Math.min(4, HELD[kernel].most / registers, work.rows / narrowest));
  while (each > 1 && inFlight(each) * mostSplits < busy.lanes) each /= 2;
  let splits = 1;
  while (splits < mostSplits && inFlight(each) * splits < 2 * busy.lanes) splits *= 2;
  let lanes = powerAtMost(Math.min(widest, invocations / splits, work.rows / each), (count) => fits(count, splits));
  while (lanes > narrowest && sets * Math.ceil(work.rows / (each * lanes)) < 2 * busy.groups) lanes /= 2;
  return rows({ lanes, rows: each, splits, dimLanes });
}

/** Factors of a standard schedule. */
interface Factors {
  readonly rows?: number;
  readonly splits?: number;
  readonly lanes?: number;
}

/** On a GPU: the same lanes in flight cut otherwise, then more and fewer of them. */
const GPU_FACTORS: readonly Factors[] = [
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
/** On a CPU nothing is split. */
const CPU_FACTORS: readonly Factors[] = [{ rows: 0.5 }, { rows: 2 }, { lanes: 0.5 }, { lanes: 2 }];

const MOST_SPLITS_MEASURED = 32;

/** Variations of a standard schedule; the one lane of a decoding one stays alone. */
export function rowsCandidates(standard: RowsSchedule, device: DeviceTraits, headDim: number): readonly RowsSchedule[] {
  const { lanesInTurn } = kindTraits(device);
  const narrowest = lanesInTurn ? CPU_LANES : NARROWEST / standard.dimLanes;
  return (lanesInTurn ? CPU_FACTORS : GPU_FACTORS)
    .filter((factor) => standard.lanes > 1 || factor.lanes === undefined)
    .map((factor) => ({
      ...standard,
      rows: standard.rows * (factor.rows ?? 1),
      splits: standard.splits * (factor.splits ?? 1),
      lanes: standard.lanes * (factor.lanes ?? 1),
    }))
    .filter((s) => s.splits <= MOST_SPLITS_MEASURED && (s.lanes === standard.lanes || s.lanes >= narrowest))
    .filter((s) => s.lanes * s.splits * s.dimLanes <= mostInvocations(device) && fitsRows(s, device, headDim));
}

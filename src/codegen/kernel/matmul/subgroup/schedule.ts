/** @file Schedules of kind `subgroup`: a workgroup is one subgroup, whose lanes load A between them and pass it on by broadcast. */

import { type DeviceTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { hasFewColumns, isSmall, onCpu, tallRows } from '../cpu.ts';
import { ADDING, SHARES, TILE } from '../fields.ts';
import { type MatmulKind, powerAtLeast, tileFits } from '../kind.ts';
import type { MatmulWork } from '../work.ts';

export const SUBGROUP = {
  kind: 'subgroup',
  fields: {
    ...TILE,
    /** Lanes along n: all of the subgroup's. */
    lanes: { holds: 'count', text: '# lanes' },
    /** k of one step: a multiple of 4, and no more than there are lanes. */
    depth: { holds: 'count', text: 'depth #' },
    ...ADDING,
    /** Whether B's side is computed along the rows and broadcast, and A's along the lanes, as few columns and many rows want it. */
    swapped: { holds: 'flag', text: 'sides swapped' },
    ...SHARES,
  },
} as const;

export type SubgroupSchedule = ScheduleOf<typeof SUBGROUP>;

export const subgroup = scheduleMaker(SUBGROUP);

export const SUBGROUP_KIND: MatmulKind<SubgroupSchedule> = {
  description: SUBGROUP,
  cut: ({ lanes, rows, cols, depth, kGroups }) => ({ lanes: [lanes, 1], rows, cols, depth, kLanes: 1, kGroups, wide: true }),
  workgroup: ({ lanes }) => [lanes, 1, 1],
  uses: ({ lanes }) => ({ subgroups: true, subgroupSize: lanes }),
  bytes: () => 0,
  smaller: () => null,
  fits: (schedule, device) => {
    const { lanes, rows, depth, swapped } = schedule;
    // Of swapped sides, results that are stored four wide go down the rows.
    if (!tileFits(schedule, device) || (swapped && rows % 4 !== 0)) return false;
    return device.subgroups && lanes === device.subgroupSize && depth % 4 === 0 && depth <= lanes;
  },
  unrolled: ({ rows, cols, depth, storeLoop }) => ({ stores: storeLoop ? 0 : rows * cols, sums: rows * cols * depth }),
  sharesK: () => true,
};

/** Lanes of a CPU's subgroups, where their size suits a broadcast; else null. */
function broadcastLanes({ subgroupSize: size }: DeviceTraits): number | null {
  return size !== null && size % 4 === 0 && size <= 16 ? size : null;
}

/**
 * What a CPU starts with. A load that differs by lane costs it some 40 multiply-adds, so registers hold a tall tile and A comes by broadcast. Sums are
 * spilled, so products are folded first, in steps of four k, which are half the code of eight. Measured, by rows × columns a lane, in GFLOP a
 * second of processor time and seconds to compile, at 512 × 256 × 688 where nothing else is said:
 * - lavapipe: 8 × 4 gives 20 and takes 0.27 (in steps of eight 17 and 0.47), 16 × 4 27 and 0.51, 32 × 4, for what every step runs, 30 and 1.03.
 *   At 256 × 688 × 256 16 × 4 gives 23 and takes 0.43, with its stores in a loop 0.32. Three products of one A give side by side 14 and take
 *   1.05 by 8 × 4, 20 and 2.2 by 16 × 4; in turn, stored in a loop, 23 and 0.98 by 16 × 4. 512³ from registers gives half, through workgroup memory a fifth.
 * - SwiftShader: 16 × 8 gives 3.4 and takes 0.16, by `fma` 3.9; 32 × 8 4.2 and 0.3, 32 × 16 4.8 and 0.8; from registers 3.2 to 3.6.
 */
export function standardSubgroup(device: DeviceTraits, work: MatmulWork): SubgroupSchedule | null {
  const traits = kindTraits(device);
  const lanes = broadcastLanes(device);
  if (!traits.lanesInTurn || lanes === null) return null;
  const { m, n } = work.sizes;
  const base = { ...onCpu(traits), lanes, depth: 4, fold: 4 };
  if (hasFewColumns(work)) return subgroup({ ...base, inTurn: false, swapped: true, rows: Math.max(4, powerAtLeast(n, 16)), cols: traits.fma ? 8 : 4 });
  const cols = traits.fma && !isSmall(work) && m >= 16 && n >= 8 * lanes ? 8 : 4;
  return subgroup({ ...base, rows: tallRows(work, traits), cols });
}

/** A tile that is worth measuring. */
type Tall = readonly [rows: number, cols: number, fold: number];
const BY_SUMS: readonly Tall[] = [
  [16, 4, 4],
  [32, 4, 4],
  [8, 4, 4],
  [16, 4, 2],
  [4, 4, 4],
];
/** The tiles of devices on which `fma` is one instruction, where taller and wider ones pay. */
const BY_FMA: readonly Tall[] = [
  [32, 16, 4],
  [32, 8, 4],
  [16, 16, 4],
  [16, 8, 4],
  [16, 4, 4],
];

export function subgroupCandidates(device: DeviceTraits): readonly SubgroupSchedule[] {
  const traits = kindTraits(device);
  const lanes = broadcastLanes(device);
  if (!traits.lanesInTurn || lanes === null) return [];
  return (traits.fma ? BY_FMA : BY_SUMS).map(([rows, cols, fold]) => subgroup({ ...onCpu(traits), lanes, rows, cols, depth: 4, fold }));
}

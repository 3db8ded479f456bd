/** @file Schedules of kind `register`: each lane loads from memory what it needs. */

import { type CpuTraits, type DeviceTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { hasFewColumns, onCpu, tallRows } from '../cpu.ts';
import { ADDING, SHARES, TILE } from '../fields.ts';
import { type MatmulKind, powerAtLeast, tileFits } from '../kind.ts';
import type { MatmulWork } from '../work.ts';

export const REGISTER = {
  kind: 'register',
  fields: {
    ...TILE,
    /** Along n and m; with one along m the loads of A are uniform over the workgroup. */
    lanes: { holds: 'pair', text: '# lanes' },
    /** k of one step: a multiple of 4, or 1. */
    depth: { holds: 'count', text: 'depth #' },
    /** That many lanes share the k axis and add up through workgroup memory at the end. */
    kLanes: { holds: 'count', text: '# lanes along k', usual: 1 },
    /** Whether neighbouring invocations are neighbours along k (B contiguous along k) rather than along n. */
    kFirst: { holds: 'flag', text: 'k first' },
    ...ADDING,
    /** Whether operands are loaded element by element. */
    scalarLoads: { holds: 'flag', text: 'element by element' },
    ...SHARES,
  },
} as const;

export type RegisterSchedule = ScheduleOf<typeof REGISTER>;

export const register = scheduleMaker(REGISTER);

/** A lane computes one row and four columns, and loads element by element, so that little can go wrong. */
export const PLAIN = register({ lanes: [8, 1], rows: 1, cols: 4, depth: 1, scalarLoads: true });

export const REGISTER_KIND: MatmulKind<RegisterSchedule> = {
  description: REGISTER,
  cut: ({ lanes, rows, cols, depth, kLanes, kGroups, scalarLoads }) => ({ lanes, rows, cols, depth, kLanes, kGroups, wide: !scalarLoads }),
  workgroup: ({ lanes, kLanes, kFirst }) => (kFirst ? [kLanes, ...lanes] : [...lanes, kLanes]),
  uses: () => ({}),
  bytes: ({ lanes, rows, cols, kLanes }, { products }) => (kLanes > 1 ? 4 * rows * cols * lanes[0] * lanes[1] * kLanes * products : 0),
  smaller: (schedule) => {
    const kLanes = Math.floor(schedule.kLanes / 2);
    return kLanes < 1 ? null : { ...schedule, kLanes, kFirst: schedule.kFirst && kLanes > 1 };
  },
  fits: (schedule, device) => tileFits(schedule, device) && (schedule.kGroups === 1 || !schedule.kFirst),
  unrolled: ({ rows, cols, depth, storeLoop }) => ({ stores: storeLoop ? 0 : rows * cols, sums: rows * cols * depth }),
  sharesK: ({ kFirst }) => !kFirst,
};

/** What a device starts with where registers alone do: for few rows or columns, on a GPU with little else, on a CPU whose subgroups have no size that suits. */
export function standardRegister(device: DeviceTraits, work: MatmulWork): RegisterSchedule | null {
  const traits = kindTraits(device);
  if (traits.lanesInTurn) return forCpu(device, traits, work);
  const { m, n } = work.sizes;
  if (m <= 8 || n <= 8) return skinny(device, work);
  const little = device.maxWorkgroupStorage < 16384 || device.maxInvocations < 64;
  return little ? register({ lanes: [8, 4], rows: 4, cols: 4, depth: 4 }) : null;
}

function forCpu(device: DeviceTraits, traits: CpuTraits, work: MatmulWork): RegisterSchedule {
  const lanes = device.subgroupSize ?? 8;
  if (hasFewColumns(work))
    return register({ ...onCpu(traits), inTurn: false, lanes: [Math.ceil(work.sizes.n / 4), lanes], rows: traits.fma ? 8 : 4, cols: 4, depth: 4 });
  return register({ ...onCpu(traits), lanes: [8, 1], rows: Math.min(tallRows(work, traits), 8), cols: 8, depth: 4 });
}

/** For matrix × vector and the like, which memory bounds: neighbouring lanes read neighbouring words, and lanes share the k axis. */
function skinny(device: DeviceTraits, { sizes: { m, n, k }, layout }: MatmulWork): RegisterSchedule {
  const columns = Math.max(1, Math.min(16, Math.ceil(n / 4)));
  const cut = (lanes: readonly [number, number], rows: number, kFirst: boolean): RegisterSchedule =>
    register({ lanes, rows, cols: 4, depth: 4, ...kSplit(device, k, lanes[0] * lanes[1], rows * 4, kFirst) });
  if (m > 8) return cut([columns, 8], 4, false);
  const rows = powerAtLeast(m, 8);
  return layout.b === 'k' ? cut([Math.min(2, columns), 1], rows, true) : cut([columns, 1], rows, false);
}

/** How many invocations share k. Workgroup memory has to hold `perLane` partial sums of each. */
function kSplit(device: DeviceTraits, k: number, lanes: number, perLane: number, kFirst: boolean): Pick<RegisterSchedule, 'kLanes' | 'kFirst'> {
  const fits = Math.min(device.maxWorkgroupStorage / (lanes * perLane * 4), device.maxInvocations / lanes);
  const limit = kFirst ? 32 : 8;
  let kLanes = 1;
  while (kLanes * 2 <= Math.min(limit, fits, Math.ceil(k / 16))) kLanes *= 2;
  return { kLanes, kFirst: kFirst && kLanes > 1 };
}

/** These load straight from memory, for GPUs with good caches. */
const CACHED: readonly RegisterSchedule[] = [
  register({ lanes: [16, 4], rows: 4, cols: 4, depth: 4 }),
  register({ lanes: [8, 8], rows: 4, cols: 4, depth: 4 }),
  register({ lanes: [32, 2], rows: 8, cols: 4, depth: 4 }),
];

/**
 * These have one row of lanes, all of which load A from the same addresses, so that a driver may load it once (AMD's: to scalar registers). Software
 * drivers do not: lavapipe reaches 9 GFLOP/s, by a broadcast 18; SwiftShader 3.2 to 3.9, by a broadcast 4.2 to 5.2.
 */
const UNIFORM: readonly RegisterSchedule[] = [
  register({ lanes: [64, 1], rows: 8, cols: 4, depth: 4 }),
  register({ lanes: [64, 1], rows: 16, cols: 4, depth: 4 }),
];

/** Schedules whose loads of A are uniform, where that helps. */
export function uniformCandidates(device: DeviceTraits): readonly RegisterSchedule[] {
  const traits = kindTraits(device);
  return !traits.lanesInTurn && traits.uniformLoads ? UNIFORM : [];
}

export function cachedCandidates(device: DeviceTraits): readonly RegisterSchedule[] {
  return kindTraits(device).lanesInTurn ? [] : CACHED;
}

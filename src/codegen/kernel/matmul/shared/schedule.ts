/** @file Schedules of kind `shared`: tiles of both operands go through workgroup memory. */

import { at } from '../../../../errors.ts';
import { type DeviceTraits, type GpuTraits, kindTraits } from '../../device.ts';
import { type ScheduleOf, scheduleMaker } from '../../schedule/kind.ts';
import { FILLING, SHARES, TILE } from '../fields.ts';
import { type MatmulKind, tileFits, tileOf } from '../kind.ts';
import { type MatmulLoad, type MatmulWork, SINGLE } from '../work.ts';

export const SHARED = {
  kind: 'shared',
  fields: {
    /** Multiples of 4. */
    ...TILE,
    /** Along n and m. */
    lanes: { holds: 'pair', text: '# lanes' },
    /** k of a tile: a multiple of 4. */
    depth: { holds: 'count', text: 'depth #' },
    ...FILLING,
    ...SHARES,
  },
} as const;

export type SharedSchedule = ScheduleOf<typeof SHARED>;

export const shared = scheduleMaker(SHARED);

/** Steps along k that a driver unrolls of a tile in workgroup memory. */
const UNROLLED_STEPS = 8;

/** vec4s that a line in workgroup memory takes for so many elements. It has one more than it needs, so that lanes that write different k hit different banks. */
export const lineOf = (elements: number): number => elements / 4 + 1;

function bytes(schedule: SharedSchedule, { operands }: MatmulLoad): number {
  const { lanes, rows, cols, depth, twoBuffers } = schedule;
  return 16 * (twoBuffers ? 2 : 1) * depth * (operands.a * lineOf(lanes[1] * rows) + operands.b * lineOf(lanes[0] * cols));
}

/** The second buffer goes first, since it saves a barrier a tile where half the depth costs one; then the tile gets half as deep. */
function smaller(schedule: SharedSchedule): SharedSchedule | null {
  if (schedule.twoBuffers) return { ...schedule, twoBuffers: false };
  return schedule.depth % 8 === 0 ? { ...schedule, depth: schedule.depth / 2 } : null;
}

export const SHARED_KIND: MatmulKind<SharedSchedule> = {
  description: SHARED,
  cut: ({ lanes, rows, cols, depth, kGroups }) => ({ lanes, rows, cols, depth, kLanes: 1, kGroups, wide: true }),
  workgroup: ({ lanes }) => [...lanes, 1],
  uses: () => ({}),
  bytes,
  smaller,
  fits: (schedule, device) => tileFits(schedule, device) && schedule.rows % 4 === 0 && schedule.depth % 4 === 0,
  unrolled: ({ rows, cols }) => ({ stores: rows * cols, sums: rows * cols * UNROLLED_STEPS }),
  sharesK: () => true,
};

/** The tiles that GPUs start with, the largest first. */
const TILES: readonly SharedSchedule[] = [
  shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 8 }),
  shared({ lanes: [16, 16], rows: 4, cols: 4, depth: 16 }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 16 }),
];
/**
 * These were the fastest on an H200, measured in turns. At 2048 × 1024 × 2752 the first reaches 31.5 TFLOP/s (8 × 8 a lane of 16 × 16 at depth 16, a tile
 * ahead in two buffers, 32.6). At 512 × 256 × 256 with k in four shares the second takes 10.2 µs (11.3 where it waits for its loads), the third 11.2.
 */
const TILES_AHEAD: readonly SharedSchedule[] = [
  shared({ lanes: [32, 8], rows: 8, cols: 4, depth: 16, ahead: true, twoBuffers: true }),
  shared({ lanes: [16, 8], rows: 4, cols: 8, depth: 16, ahead: true }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 16, ahead: true }),
];
const STARTING_TILES: Readonly<Record<GpuTraits['tiles'], readonly SharedSchedule[]>> = { large: TILES, medium: TILES.slice(1), ahead: TILES_AHEAD };

/** The first of the tiles a GPU starts with that still gives every core some workgroups, or the last. */
export function standardShared(device: DeviceTraits, { sizes: { m, n } }: MatmulWork): SharedSchedule | null {
  const traits = kindTraits(device);
  if (traits.lanesInTurn) return null;
  const suited = STARTING_TILES[traits.tiles].filter(({ lanes }) => lanes[0] * lanes[1] <= device.maxInvocations);
  const workgroups = (schedule: SharedSchedule): number => {
    const tile = tileOf(SHARED_KIND.cut(schedule));
    return Math.ceil(m / tile.m) * Math.ceil(n / tile.n);
  };
  const chosen = suited.find((schedule) => workgroups(schedule) >= traits.busy.groups) ?? at(suited, -1);
  return withinBytes(chosen, device.maxWorkgroupStorage);
}

function withinBytes(schedule: SharedSchedule, most: number): SharedSchedule {
  const less = bytes(schedule, SINGLE) <= most ? null : smaller(schedule);
  return less === null ? schedule : withinBytes(less, most);
}

/**
 * Where workgroup memory holds two buffers, loads run a tile ahead: they have all of a tile's products to arrive in, and one barrier a tile is
 * left. Loads that run ahead with one buffer take registers, but leave a core as many workgroups as loads that are waited for.
 */
const AHEAD = { ahead: true, twoBuffers: true };
const CANDIDATES: readonly SharedSchedule[] = [
  shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 8, ...AHEAD }),
  shared({ lanes: [16, 8], rows: 4, cols: 8, depth: 16, ...AHEAD }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 16, ...AHEAD }),
  shared({ lanes: [32, 8], rows: 8, cols: 4, depth: 16, ...AHEAD }),
  shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 16, ...AHEAD }),
  shared({ lanes: [16, 16], rows: 8, cols: 4, depth: 16, ...AHEAD }),
  shared({ lanes: [16, 8], rows: 8, cols: 8, depth: 16, ...AHEAD }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 32, ...AHEAD }),
  shared({ lanes: [16, 16], rows: 4, cols: 4, depth: 16 }),
  shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 8 }),
  shared({ lanes: [16, 16], rows: 8, cols: 4, depth: 16 }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 16 }),
  shared({ lanes: [8, 8], rows: 8, cols: 8, depth: 16 }),
  shared({ lanes: [32, 8], rows: 8, cols: 4, depth: 16 }),
  shared({ lanes: [16, 8], rows: 4, cols: 8, depth: 16 }),
  shared({ lanes: [16, 16], rows: 8, cols: 8, depth: 8, ahead: true }),
  shared({ lanes: [16, 8], rows: 4, cols: 8, depth: 16, ahead: true }),
  shared({ lanes: [8, 8], rows: 4, cols: 4, depth: 16, ahead: true }),
];

export function sharedCandidates(device: DeviceTraits): readonly SharedSchedule[] {
  return kindTraits(device).lanesInTurn ? [] : CANDIDATES;
}

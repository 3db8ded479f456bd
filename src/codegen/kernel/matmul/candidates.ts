/** @file Schedules worth measuring on a device, all within its limits; the likeliest first, since time may run out. */

import { type CpuTraits, type DeviceTraits, type GpuTraits, kindTraits } from '../device.ts';
import { fitsMatmul, type MatmulLoad, withinStorage } from './limits.ts';
import { matrixSchedules } from './matrices.ts';
import { BASE, type MatmulPrecision, type MatmulSchedule } from './schedule.ts';
import { kGroupsToMeasure, lightened, type MatmulSizes, onCpu, type SharedCut, sharedSchedule, suits } from './standard.ts';

type Tile = readonly [rows: number, cols: number];

/** Cuts for software adapters: one subgroup a workgroup; taller and wider where `fma` is one instruction. [rows, cols, fold] */
const SUBGROUP: Readonly<Record<'fma' | 'sums', readonly (readonly [rows: number, cols: number, fold: number])[]>> = {
  sums: [
    [16, 4, 4],
    [32, 4, 4],
    [8, 4, 4],
    [16, 4, 2],
    [4, 4, 4],
  ],
  fma: [
    [32, 16, 4],
    [32, 8, 4],
    [16, 16, 4],
    [16, 8, 4],
    [16, 4, 4],
  ],
};

/**
 * Tiles through workgroup memory. A tile ahead and with two buffers where workgroup memory holds them: loads have all of a tile's products
 * to arrive in, and one barrier a tile is left.
 */
const AHEAD = { ahead: true, buffers: 2 } as const;
const SHARED: readonly SharedCut[] = [
  { lanes: [16, 16], rows: 8, cols: 8, depth: 8, ...AHEAD },
  { lanes: [16, 8], rows: 4, cols: 8, depth: 16, ...AHEAD },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 16, ...AHEAD },
  { lanes: [32, 8], rows: 8, cols: 4, depth: 16, ...AHEAD },
  { lanes: [16, 16], rows: 8, cols: 8, depth: 16, ...AHEAD },
  { lanes: [16, 16], rows: 8, cols: 4, depth: 16, ...AHEAD },
  { lanes: [16, 8], rows: 8, cols: 8, depth: 16, ...AHEAD },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 32, ...AHEAD },
  { lanes: [16, 16], rows: 4, cols: 4, depth: 16 },
  { lanes: [16, 16], rows: 8, cols: 8, depth: 8 },
  { lanes: [16, 16], rows: 8, cols: 4, depth: 16 },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 16 },
  { lanes: [8, 8], rows: 8, cols: 8, depth: 16 },
  { lanes: [32, 8], rows: 8, cols: 4, depth: 16 },
  { lanes: [16, 8], rows: 4, cols: 8, depth: 16 },
  // registers for what is ahead, one buffer: as many workgroups a core as without
  { lanes: [16, 16], rows: 8, cols: 8, depth: 8, ahead: true },
  { lanes: [16, 8], rows: 4, cols: 8, depth: 16, ahead: true },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 16, ahead: true },
];
/** Straight from memory, for GPUs with good caches. */
const REGISTER: readonly { readonly lanes: Tile; readonly tile: Tile }[] = [
  { lanes: [16, 4], tile: [4, 4] },
  { lanes: [8, 8], tile: [4, 4] },
  { lanes: [32, 2], tile: [8, 4] },
];

/**
 * One row of lanes: the addresses of A are the same in all of them, so that a driver may load it once (AMD: to scalar registers). Software
 * drivers do not: lavapipe 9 GFLOP/s beside 18 of a broadcast, SwiftShader 3.2 to 3.9 beside 4.2 to 5.2.
 */
const UNIFORM: readonly { readonly lanes: number; readonly tile: Tile; readonly fold: number }[] = [
  { lanes: 64, tile: [8, 4], fold: 1 },
  { lanes: 64, tile: [16, 4], fold: 1 },
];

export function matmulCandidates(device: DeviceTraits, sizes: MatmulSizes, load: MatmulLoad, precision: MatmulPrecision = 'f32'): MatmulSchedule[] {
  const matrix = device.matrices ? matrixSchedules(device.matrices, precision) : [];
  const traits = kindTraits(device);
  const all = [...matrix, ...(traits.lanesInTurn ? softwareCandidates(device, traits) : gpuCandidates(traits))];
  const kept = new Map<string, MatmulSchedule>();
  const cut = (s: MatmulSchedule): MatmulSchedule => withinStorage(lightened(s, load, device, true), load, device);
  const fitting = all.map(cut).filter((s) => fitsMatmul(s, device, load, precision) && suits(s, sizes));
  // every cut with the likeliest shares of k before any with others
  const shared = fitting.map((s) => kGroupsToMeasure(s, device, sizes, load).map((kGroups): MatmulSchedule => ({ ...s, kGroups })));
  const most = Math.max(0, ...shared.map(({ length }) => length));
  for (let i = 0; i < most; i++) for (const s of shared.flatMap((all) => all[i] ?? [])) kept.set(JSON.stringify(s), s);
  return [...kept.values()];
}

function softwareCandidates({ subgroupSize }: DeviceTraits, traits: CpuTraits): MatmulSchedule[] {
  if (subgroupSize === null || subgroupSize % 4 !== 0 || subgroupSize > 16) return [];
  const base = onCpu(traits);
  return SUBGROUP[traits.fma ? 'fma' : 'sums'].map(
    ([rows, cols, fold]): MatmulSchedule => ({ ...base, kind: 'subgroup', lanes: [subgroupSize, 1], rows, cols, depth: 4, fold }),
  );
}

function gpuCandidates({ uniformLoads }: GpuTraits): MatmulSchedule[] {
  return [
    ...(uniformLoads ? UNIFORM : []).map(
      ({ lanes, tile: [rows, cols], fold }): MatmulSchedule => ({ ...BASE, kind: 'register', lanes: [lanes, 1], rows, cols, depth: 4, fold }),
    ),
    ...SHARED.map(sharedSchedule),
    ...REGISTER.map(({ lanes, tile: [rows, cols] }): MatmulSchedule => ({ ...BASE, kind: 'register', lanes, rows, cols, depth: 4 })),
  ];
}

/** @file Schedules worth measuring on a device, all within its limits; the likeliest first, since time may run out. */

import { isSoftware } from '../../runtime/adapterKind.ts';
import type { AttentionSchedule } from './attentionTypes.ts';
import type { MatmulSchedule } from './matmulTypes.ts';
import { BASE, type DeviceTraits, lightened, type MatmulLoad, type MatmulSizes, mostKGroups, withinStorage, workgroupBytes } from './schedule.ts';

/** See `lightened`: what is measured may take longer to compile than what a device starts with. */
const MEASURED_SUMS = 192;

type Tile = readonly [rows: number, cols: number];

/** Cuts for software adapters: one subgroup a workgroup. [rows, cols, fold] */
const SUBGROUP: Readonly<Record<'lavapipe' | 'swiftshader', readonly (readonly [rows: number, cols: number, fold: number])[]>> = {
  lavapipe: [
    [16, 4, 8],
    [8, 4, 8],
    [16, 4, 4],
    [4, 4, 8],
    [32, 4, 8],
  ],
  swiftshader: [
    [16, 8, 2],
    [16, 8, 4],
    [8, 8, 2],
    [16, 4, 1],
    [8, 4, 2],
  ],
};

/** Tiles through workgroup memory: lanes along n and m, what a lane computes, depth. */
const SHARED: readonly { readonly lanes: Tile; readonly tile: Tile; readonly depth: number }[] = [
  { lanes: [16, 16], tile: [4, 4], depth: 16 },
  { lanes: [16, 16], tile: [8, 8], depth: 8 },
  { lanes: [16, 16], tile: [8, 4], depth: 16 },
  { lanes: [8, 8], tile: [4, 4], depth: 16 },
  { lanes: [8, 8], tile: [8, 8], depth: 16 },
  { lanes: [32, 8], tile: [8, 4], depth: 16 },
  { lanes: [16, 8], tile: [4, 8], depth: 16 },
];
/** Straight from memory, for GPUs with good caches. */
const REGISTER: readonly { readonly lanes: Tile; readonly tile: Tile }[] = [
  { lanes: [16, 4], tile: [4, 4] },
  { lanes: [8, 8], tile: [4, 4] },
  { lanes: [32, 2], tile: [8, 4] },
];

export function matmulCandidates(device: DeviceTraits, sizes: MatmulSizes, load: MatmulLoad): MatmulSchedule[] {
  const all = isSoftware(device.kind) ? softwareCandidates(device) : gpuCandidates();
  const kept = new Map<string, MatmulSchedule>();
  const cut = (s: MatmulSchedule): MatmulSchedule => withinStorage(lightened(s, load, MEASURED_SUMS), load, device);
  const shared = (s: MatmulSchedule): MatmulSchedule[] => {
    const kGroups = mostKGroups(s, device, sizes, load);
    return kGroups > 1 ? [{ ...s, kGroups }, s] : [s];
  };
  const fitting = all.map(cut).filter((s) => fitsMatmul(s, device, load) && suits(s, sizes));
  for (const candidate of fitting.flatMap(shared)) kept.set(JSON.stringify(candidate), candidate);
  return [...kept.values()];
}

function softwareCandidates({ kind, subgroupSize }: DeviceTraits): MatmulSchedule[] {
  if ((kind !== 'lavapipe' && kind !== 'swiftshader') || subgroupSize === null || subgroupSize % 4 !== 0 || subgroupSize > 16) return [];
  return SUBGROUP[kind].map(([rows, cols, fold]) => ({
    ...BASE,
    kind: 'subgroup',
    lanes: [subgroupSize, 1],
    rows,
    cols,
    depth: subgroupSize,
    fold: Math.min(fold, subgroupSize),
  }));
}

function gpuCandidates(): MatmulSchedule[] {
  return [
    ...SHARED.map(({ lanes, tile: [rows, cols], depth }): MatmulSchedule => ({ ...BASE, kind: 'shared', lanes, rows, cols, depth })),
    ...REGISTER.map(({ lanes, tile: [rows, cols] }): MatmulSchedule => ({ ...BASE, kind: 'register', lanes, rows, cols, depth: 4 })),
  ];
}

/** A tile much larger than the result wastes most of its lanes. */
function suits({ lanes, rows, cols }: MatmulSchedule, { m, n }: MatmulSizes): boolean {
  return (rows === 1 || lanes[1] * rows < 2 * m) && (cols === 4 || lanes[0] * cols < 2 * n);
}

/** Whether a device can run a schedule for such a load: its limits on lanes, workgroup memory and subgroups. Also for schedules read from a file. */
export function fitsMatmul(schedule: MatmulSchedule, device: DeviceTraits, load: MatmulLoad): boolean {
  const { kind, lanes, rows, cols, depth, kLanes, kFirst, fold, kGroups } = schedule;
  const invocations = lanes[0] * lanes[1] * kLanes;
  if (invocations > device.maxInvocations || rows * cols > 128 || cols % 4 !== 0 || fold < 1 || kGroups < 1) return false;
  if (kGroups > 1 && kFirst) return false;
  if (kind === 'subgroup') return device.subgroups && lanes[0] === device.subgroupSize && lanes[1] === 1 && kLanes === 1 && depth === lanes[0];
  return workgroupBytes(schedule, load) <= device.maxWorkgroupStorage && (kind !== 'shared' || (kLanes === 1 && rows % 4 === 0 && depth % 4 === 0));
}

/** Variations of the standard attention schedule: more and fewer rows, halved and doubled lanes. */
export function attentionCandidates(standard: AttentionSchedule, device: DeviceTraits): AttentionSchedule[] {
  const rows = [standard.rows / 2, standard.rows * 2].filter((r) => r >= 1 && r <= 8);
  const byRows = rows.map((r): AttentionSchedule => ({ ...standard, rows: r }));
  const byLanes =
    standard.kind === 'rows' && standard.splits === 1
      ? [standard.lanes / 2, standard.lanes * 2]
          .filter((l) => l >= 8 && l * standard.dimLanes <= Math.min(256, device.maxInvocations))
          .map((lanes): AttentionSchedule => ({ ...standard, lanes }))
      : [];
  return [...byRows, ...byLanes].filter((s) => fitsAttention(s, device));
}

/** Whether a device can run an attention schedule. */
export function fitsAttention({ kind, lanes, rows, splits, dimLanes }: AttentionSchedule, device: DeviceTraits): boolean {
  if (rows < 1 || rows > 8 || lanes * splits * dimLanes > device.maxInvocations) return false;
  return kind === 'subgroup' ? device.subgroups && lanes === device.subgroupSize : dimLanes === 1 || device.subgroups;
}

/** @file Which matmul schedule a device starts with, before anything was tuned. */

import { invariant } from '../../../errors.ts';
import { type CpuTraits, type DeviceTraits, type GpuTraits, kindTraits } from '../device.ts';
import { type MatmulLoad, withinStorage, workgroupBytes } from './limits.ts';
import { fitsMatrix, matrixSchedules } from './matrices.ts';
import { BASE, type MatmulPrecision, type MatmulSchedule } from './schedule.ts';
import type { MatmulPort } from './spec.ts';

/** Typical sizes: of a symbolic dimension the value the schedule should suit. */
export interface MatmulSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Products of that size side by side; default 1. */
  readonly batch?: number;
}

export interface MatmulLayout {
  readonly a: MatmulPort['vectorAxis'];
  readonly b: MatmulPort['vectorAxis'];
}

/** Steps along k that a driver unrolls of a tile in workgroup memory. */
const SHARED_UNROLLED = 8;

/** The schedule with fewer rows a lane where its products, or its stores, would unroll to too much code. */
export function lightened(schedule: MatmulSchedule, load: MatmulLoad, device: DeviceTraits, patient = load.everyStep ?? false): MatmulSchedule {
  const { products, perElement } = load;
  let { rows } = schedule;
  // subgroups hold their matrices together, and store them in loops
  if (schedule.kind === 'matrix') return schedule;
  const steps = schedule.kind === 'shared' ? SHARED_UNROLLED : schedule.depth;
  const { ops, sums } = kindTraits(device).unrolled[patient ? 'patient' : 'usual'];
  const heavy = (): boolean =>
    (!schedule.storeLoop && rows * schedule.cols * perElement > ops) || (products > 1 && rows * schedule.cols * products * steps > sums);
  while (rows > 4 && rows % 2 === 0 && heavy()) rows /= 2;
  return rows === schedule.rows ? schedule : { ...schedule, rows };
}

/** Shares of k worth a second kernel: no more, no shorter ones (k a lane), no more partial sums in scratch (8 MiB). */
const MOST_K_GROUPS = 16;
const LEAST_SHARE = 64;
const MOST_PARTIALS = 2 ** 21;

/**
 * How many workgroups may share the k axis of each tile where tiles alone leave cores of a GPU idle: a power of two. 1 on a CPU, whose few
 * cores have tiles enough (8 × 64 × 4096 in two shares: lavapipe 0.32 → 0.38 ms, SwiftShader 2.9 ms either way).
 * @param times factor of the lanes in flight beyond which k is not shared
 */
export function mostKGroups(schedule: MatmulSchedule, device: DeviceTraits, sizes: MatmulSizes, load: MatmulLoad, times = 1): number {
  const { lanes, rows, cols, kLanes, kFirst, matrix } = schedule;
  const { m, n, k, batch = 1 } = sizes;
  const traits = kindTraits(device);
  if (traits.lanesInTurn || kFirst) return 1;
  const tiles = batch * Math.ceil(m / (lanes[1] * rows)) * Math.ceil(n / (lanes[0] * cols));
  const invocations = tiles * lanes[0] * lanes[1] * kLanes * (matrix?.lanes ?? 1);
  const limit = Math.min(MOST_K_GROUPS, (times * traits.busy.lanes) / invocations, k / (kLanes * LEAST_SHARE), MOST_PARTIALS / (batch * m * n * load.products));
  let kGroups = 1;
  while (kGroups * 2 <= limit) kGroups *= 2;
  return kGroups;
}

/** Shares of k worth measuring: those that make a GPU busy, half and twice as many, and none. */
export function kGroupsToMeasure(schedule: MatmulSchedule, device: DeviceTraits, sizes: MatmulSizes, load: MatmulLoad): number[] {
  const chosen = mostKGroups(schedule, device, sizes, load);
  const twice = mostKGroups(schedule, device, sizes, load, 2);
  return [...new Set([chosen, Math.max(1, chosen / 2), twice, 1])];
}

/** A tile much larger than the result wastes most of its lanes. */
export function suits({ lanes, rows, cols }: MatmulSchedule, { m, n }: MatmulSizes): boolean {
  return (rows === 1 || lanes[1] * rows < 2 * m) && (cols === 4 || lanes[0] * cols < 2 * n);
}

/** The likeliest cut by matrices of f16, on GPUs whose matrices are known to be many times faster than their lanes. */
function standardMatrix(device: DeviceTraits, sizes: MatmulSizes, load: MatmulLoad, precision: MatmulPrecision): MatmulSchedule | undefined {
  const { matrices, maxInvocations, maxWorkgroupStorage } = device;
  const traits = kindTraits(device);
  if (precision === 'f32' || !matrices || traits.lanesInTurn || !traits.fastMatrices) return undefined;
  return matrixSchedules(matrices, precision)
    .map((s) => withinStorage(s, load, device))
    .find((s) => fitsMatrix(s, matrices, precision, maxInvocations) && workgroupBytes(s, load) <= maxWorkgroupStorage && suits(s, sizes));
}

/** What a device starts with for one kernel: within its limits, as much code as drivers take, k shared where tiles are few. */
export function standardMatmulSchedule(
  device: DeviceTraits,
  layout: MatmulLayout,
  sizes: MatmulSizes,
  load: MatmulLoad,
  precision: MatmulPrecision = 'f32',
): MatmulSchedule {
  const matrix = standardMatrix(device, sizes, load, precision);
  const schedule = matrix ?? withinStorage(lightened(defaultMatmulSchedule(device, layout, sizes, load), load, device), load, device);
  return { ...schedule, kGroups: mostKGroups(schedule, device, sizes, load) };
}

/** A sensible schedule, always within the device's limits; columns a lane are a multiple of 4, as vec4 results need. */
export function defaultMatmulSchedule(device: DeviceTraits, layout: MatmulLayout, sizes: MatmulSizes, load: MatmulLoad = SINGLE): MatmulSchedule {
  const traits = kindTraits(device);
  return traits.lanesInTurn ? softwareSchedule(device, traits, sizes, load) : gpuSchedule(device, traits, layout, sizes);
}

/** What tiles on a software adapter have in common: compilers that take long, sums that are spilled anyway. SwiftShader has an instruction for `fma`, Mesa two. */
export const onCpu = ({ fma }: CpuTraits): Omit<MatmulSchedule, 'kind' | 'lanes' | 'rows' | 'cols' | 'depth'> => ({
  ...BASE,
  inTurn: true,
  storeLoop: true,
  fma,
});

/** Multiply-adds below which a product is small: some 5 ms on a software adapter. */
const SMALL_PRODUCT = 2 ** 23;

/**
 * On a CPU a load that differs by lane costs some 40 multiply-adds, so registers hold a tall tile and A comes by broadcast; sums are spilled,
 * so products are folded first, in steps of four k: half the code of eight. Rows × columns a lane, GFLOP a second of processor time and
 * seconds to compile, of 512 × 256 × 688 where nothing else is said:
 * - lavapipe: 8 × 4 20 and 0.27 (in steps of eight 17 and 0.47), 16 × 4 27 and 0.51, 32 × 4 30 and 1.03: for what every step runs.
 *   256 × 688 × 256 by 16 × 4: 23 and 0.43, with its stores in a loop 23 and 0.32. Three products of one A: side by side by 8 × 4 14 and
 *   1.05, by 16 × 4 20 and 2.2; in turn, stored in a loop, by 16 × 4 23 and 0.98. 512³ from registers half, through workgroup memory a fifth.
 * - SwiftShader: 16 × 8 3.4 and 0.16, by `fma` 3.9; 32 × 8 4.2 and 0.3, 32 × 16 4.8 and 0.8; from registers 3.2 to 3.6.
 */
function softwareSchedule(device: DeviceTraits, traits: CpuTraits, { m, n, k }: MatmulSizes, { everyStep = false }: MatmulLoad): MatmulSchedule {
  // a tall tile takes the driver a second to compile, which a small product does not earn back
  const small = m * n * k < SMALL_PRODUCT;
  const base = onCpu(traits);
  const size = device.subgroupSize;
  const width = size ?? 8;
  const subgroup = size !== null && size % 4 === 0 && size <= 16;
  // few columns (LoRA): lanes go along m
  if (n <= 16 && m >= 16) {
    const side = { ...base, inTurn: false, depth: 4 };
    if (!subgroup) return { ...side, kind: 'register', lanes: [Math.ceil(n / 4), width], rows: base.fma ? 8 : 4, cols: 4 };
    const rows = Math.max(4, powerAtLeast(n, 16));
    return { ...side, kind: 'subgroup', swapped: true, lanes: [width, 1], rows, cols: base.fma ? 8 : 4, fold: 4 };
  }
  const rows = powerAtLeast(m, small ? 4 : everyStep || base.fma ? 32 : 16);
  if (!subgroup) return { ...base, kind: 'register', lanes: [8, 1], rows: Math.min(rows, 8), cols: 8, depth: 4 };
  const cols = base.fma && !small && m >= 16 && n >= 8 * width ? 8 : 4;
  return { ...base, kind: 'subgroup', lanes: [width, 1], rows, cols, depth: 4, fold: 4 };
}

/** How a matmul through workgroup memory is cut: `rows` and `cols` a lane. */
export type SharedCut = Pick<MatmulSchedule, 'lanes' | 'rows' | 'cols' | 'depth'> & Partial<Pick<MatmulSchedule, 'ahead' | 'buffers'>>;

export const sharedSchedule = (cut: SharedCut): MatmulSchedule => ({ ...BASE, kind: 'shared', ...cut });

/** What GPUs start with: the first whose tiles still give every core some workgroups, or the last. */
const GPU_CUTS: readonly SharedCut[] = [
  { lanes: [16, 16], rows: 8, cols: 8, depth: 8 },
  { lanes: [16, 16], rows: 4, cols: 4, depth: 16 },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 16 },
];
/**
 * Measured in turns on an H200, of what stayed in to the last round. 2048 × 1024 × 2752, TFLOP/s: the first 31.5; 8 × 8 a lane of 16 × 16 at depth 16, a tile
 * ahead in two buffers: 32.6. 512 × 256 × 256, k in four shares, microseconds: the second 10.2, waiting for its loads 11.3; the third 11.2.
 */
const NVIDIA_CUTS: readonly SharedCut[] = [
  { lanes: [32, 8], rows: 8, cols: 4, depth: 16, ahead: true, buffers: 2 },
  { lanes: [16, 8], rows: 4, cols: 8, depth: 16, ahead: true },
  { lanes: [8, 8], rows: 4, cols: 4, depth: 16, ahead: true },
];
const STARTING_TILES: Readonly<Record<GpuTraits['tiles'], readonly SharedCut[]>> = { large: GPU_CUTS, medium: GPU_CUTS.slice(1), ahead: NVIDIA_CUTS };

/** One product and nothing else. */
export const SINGLE: MatmulLoad = { products: 1, operands: { a: 1, b: 1 }, perElement: 0 };

/** Tiles through workgroup memory; few rows or a tiny result: lanes share the k axis instead. */
function gpuSchedule(device: DeviceTraits, { tiles: starting, busy }: GpuTraits, layout: MatmulLayout, { m, n, k }: MatmulSizes): MatmulSchedule {
  const rows = powerAtLeast(m, 8);
  if (m <= 8 || n <= 8) return skinny(device, layout, { m, n, k }, rows);
  if (device.maxWorkgroupStorage < 16384 || device.maxInvocations < 64) {
    return { ...BASE, kind: 'register', lanes: [8, 4], rows: 4, cols: 4, depth: 4 };
  }
  const suited = STARTING_TILES[starting].filter(({ lanes }) => lanes[0] * lanes[1] <= device.maxInvocations);
  const tiles = ({ lanes, rows, cols }: SharedCut): number => Math.ceil(m / (lanes[1] * rows)) * Math.ceil(n / (lanes[0] * cols));
  const chosen = suited.find((cut) => tiles(cut) >= busy.groups) ?? suited.at(-1);
  invariant(chosen !== undefined, 'a GPU cut takes 64 lanes at most');
  return withinStorage(sharedSchedule(chosen), SINGLE, device);
}

/** Matrix × vector and the like: memory-bound, so what counts is that neighbouring lanes read neighbouring words. */
function skinny(device: DeviceTraits, layout: MatmulLayout, { m, n, k }: MatmulSizes, rows: number): MatmulSchedule {
  const columns = Math.max(1, Math.min(16, Math.ceil(n / 4)));
  const cut = (lanes: readonly [number, number], r: number, kFirst: boolean): MatmulSchedule => ({
    ...BASE,
    kind: 'register',
    lanes,
    rows: r,
    cols: 4,
    depth: 4,
    ...kSplit(device, k, lanes[0] * lanes[1], r * 4, kFirst),
  });
  if (m > 8) return cut([columns, 8], 4, false);
  return layout.b === 'k' ? cut([Math.min(2, columns), 1], rows, true) : cut([columns, 1], rows, false);
}

/** How many invocations share k: `perLane` partial sums of each have to fit workgroup memory. */
function kSplit(device: DeviceTraits, k: number, lanes: number, perLane: number, kFirst: boolean): { kLanes: number; kFirst: boolean } {
  const fits = Math.min(device.maxWorkgroupStorage / (lanes * perLane * 4), device.maxInvocations / lanes);
  const limit = kFirst ? 32 : 8;
  let kLanes = 1;
  while (kLanes * 2 <= Math.min(limit, fits, Math.ceil(k / 16))) kLanes *= 2;
  return { kLanes, kFirst: kFirst && kLanes > 1 };
}

function powerAtLeast(value: number, limit: number): number {
  let power = 1;
  while (power < value && power < limit) power *= 2;
  return power;
}

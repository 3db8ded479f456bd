/** @file The tables that the kernel tests share between the interpreter and an adapter. */

import { rows } from '../../src/codegen/kernel/attention/rows/schedule.ts';
import type { AttentionSchedule } from '../../src/codegen/kernel/attention/schedule.ts';
import { spread } from '../../src/codegen/kernel/attention/spread/schedule.ts';
import { matrix } from '../../src/codegen/kernel/matmul/matrix/schedule.ts';
import { register } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import type { MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { shared } from '../../src/codegen/kernel/matmul/shared/schedule.ts';
import { subgroup } from '../../src/codegen/kernel/matmul/subgroup/schedule.ts';
import type { MatrixShape } from '../../src/runtime/matrices.ts';
import type { AttentionCase } from './attentionCase.ts';
import type { Layout } from './matmulCase.ts';

export const LAYOUTS: readonly Layout[] = ['NN', 'NT', 'TN', 'TT'];

/** One schedule of every way of cutting, small; `size` is the device's subgroup size. */
export function matmulSchedules(size: number | null): Record<string, MatmulSchedule> {
  const all: Record<string, MatmulSchedule> = {
    'register, uniform A': register({ lanes: [4, 1], rows: 4, cols: 4, depth: 4 }),
    'register, 2D': register({ lanes: [2, 3], rows: 3, cols: 4, depth: 8, fold: 4, storeLoop: true }),
    'register, scalar loads': register({ lanes: [2, 2], rows: 2, cols: 4, depth: 1, fma: true, scalarLoads: true }),
    'register, split k': register({ lanes: [2, 1], rows: 1, cols: 4, depth: 4, kLanes: 4, kFirst: true }),
    'register, split k last': register({ lanes: [2, 2], rows: 4, cols: 4, depth: 4, kLanes: 2, inTurn: true, storeLoop: true }),
    'register, k over workgroups': register({ lanes: [2, 1], rows: 4, cols: 4, depth: 4, kGroups: 3 }),
    'register, k over lanes and workgroups': register({ lanes: [2, 2], rows: 2, cols: 4, depth: 4, kLanes: 2, kGroups: 2 }),
    shared: shared({ lanes: [2, 3], rows: 4, cols: 4, depth: 8 }),
    'shared, wide lanes': shared({ lanes: [4, 2], rows: 4, cols: 8, depth: 4 }),
    'shared, k over workgroups': shared({ lanes: [2, 2], rows: 4, cols: 4, depth: 4, kGroups: 2 }),
    // 6 invocations and tiles of 24 and 16 vec4s: tasks for all of them, and a rest
    'shared, a tile ahead': shared({ lanes: [2, 3], rows: 4, cols: 4, depth: 8, ahead: true, twoBuffers: true }),
  };
  if (size !== null) {
    all['subgroup'] = subgroup({ lanes: size, rows: 4, cols: 4, depth: size, fold: size });
    all['subgroup, swapped'] = subgroup({ lanes: size, rows: 4, cols: 8, depth: 4, fold: 4, swapped: true });
    all['subgroup, swapped, k over workgroups'] = subgroup({ lanes: size, rows: 8, cols: 4, depth: 4, kGroups: 2, swapped: true });
    all['subgroup, wide'] = subgroup({ lanes: size, rows: 3, cols: 8, depth: size, fold: 4, inTurn: true, storeLoop: true, fma: true });
  }
  return all;
}

/** More ways of cutting, for the interpreter: drivers of software adapters compile each for seconds. */
export const MORE_SCHEDULES: Readonly<Record<string, MatmulSchedule>> = {
  'register, stored in a loop': register({ lanes: [2, 2], rows: 8, cols: 8, depth: 4, inTurn: true, storeLoop: true }),
  'shared, a tile ahead, one buffer': shared({ lanes: [4, 2], rows: 4, cols: 8, depth: 4, ahead: true }),
  'shared, two buffers': shared({ lanes: [2, 2], rows: 4, cols: 4, depth: 4, twoBuffers: true }),
  'shared, a tile ahead, k over workgroups': shared({ lanes: [2, 2], rows: 4, cols: 4, depth: 4, kGroups: 3, ahead: true, twoBuffers: true }),
};

/** Schedules by matrices, with subgroups of `lanes`; no adapter of the tests offers them. */
export function matrixSchedules(lanes: number): Record<string, MatmulSchedule> {
  const f32: MatrixShape = { m: 8, n: 8, k: 8, input: 'f32', lanes };
  const f16: MatrixShape = { m: 8, n: 16, k: 16, input: 'f16', lanes };
  return {
    'matrix, f32': matrix({ subgroups: [2, 1], rows: 16, cols: 8, depth: 8, matrix: f32 }),
    'matrix, f16': matrix({ subgroups: [1, 2], rows: 8, cols: 32, depth: 32, matrix: f16 }),
    'matrix, f32, a tile ahead': matrix({ subgroups: [2, 1], rows: 8, cols: 8, depth: 8, ahead: true, twoBuffers: true, matrix: f32 }),
    'matrix, f16, a tile ahead, one buffer': matrix({ subgroups: [2, 1], rows: 8, cols: 16, depth: 16, ahead: true, matrix: f16 }),
    'matrix, f16, k over workgroups': matrix({ subgroups: [2, 1], rows: 16, cols: 16, depth: 16, kGroups: 2, matrix: { ...f16, m: 16 } }),
  };
}

/** [batch, m, n, k]: exact multiples, ragged edges, k tails, single rows and columns. */
export const MATMUL_SHAPES: readonly (readonly [number, number, number, number])[] = [
  [1, 1, 1, 1],
  [1, 8, 8, 8],
  [2, 5, 7, 3],
  [1, 1, 12, 20],
  [1, 9, 4, 16],
  [3, 4, 16, 5],
  [1, 13, 20, 11],
  [1, 6, 1, 33],
];

export const ATTENTION_CASES: Readonly<Record<string, AttentionCase>> = {
  'one of everything': { batch: 1, queries: 1, keys: 1, heads: 1, kvHeads: 1, headDim: 4 },
  causal: { batch: 2, queries: 5, keys: 5, heads: 2, kvHeads: 2, headDim: 8, causal: true },
  'grouped heads, odd head dimension': {
    batch: 1,
    queries: 7,
    keys: 7,
    heads: 4,
    kvHeads: 2,
    headDim: 10,
    causal: true,
  },
  'sliding window': { batch: 1, queries: 11, keys: 11, heads: 2, kvHeads: 1, headDim: 12, causal: true, window: 3 },
  'window alone': { batch: 1, queries: 9, keys: 6, heads: 1, kvHeads: 1, headDim: 8, window: 2 },
  'soft cap': { batch: 1, queries: 6, keys: 9, heads: 2, kvHeads: 2, headDim: 8, softCap: 0.7 },
  'packed segments with padding': {
    batch: 2,
    queries: 10,
    keys: 10,
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    causal: true,
    segments: true,
  },
  'more queries than keys': { batch: 1, queries: 13, keys: 3, heads: 3, kvHeads: 1, headDim: 4 },
  'decoding from a cache': {
    batch: 1,
    queries: 1,
    keys: 19,
    heads: 6,
    kvHeads: 3,
    headDim: 16,
    causal: true,
    position: 18,
  },
  'a chunk after a cache': {
    batch: 2,
    queries: 4,
    keys: 13,
    heads: 2,
    kvHeads: 1,
    headDim: 8,
    causal: true,
    position: 9,
    window: 6,
  },
  'everything at once': {
    batch: 2,
    queries: 9,
    keys: 9,
    heads: 4,
    kvHeads: 2,
    headDim: 20,
    causal: true,
    window: 5,
    softCap: 2,
    segments: true,
    rotated: true,
  },
  'rotated, pairs in lanes of their own': {
    batch: 2,
    queries: 10,
    keys: 10,
    heads: 4,
    kvHeads: 2,
    headDim: 24,
    causal: true,
    segments: 'shared',
    rotated: true,
  },
  'rotated, pairs in one lane, more tokens than positions': {
    batch: 1,
    queries: 27,
    keys: 27,
    heads: 2,
    kvHeads: 1,
    headDim: 32,
    causal: true,
    window: 6,
    segments: 'shared',
    rotated: true,
  },
  'rotated, pairs in two of four lanes': {
    batch: 2,
    queries: 11,
    keys: 11,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    causal: true,
    window: 7,
    segments: 'shared',
    rotated: true,
  },
  'rotated, pairs across chunks': { batch: 1, queries: 6, keys: 6, heads: 2, kvHeads: 2, headDim: 12, softCap: 3, segments: 'shared', rotated: true },
  'rotated, elements alone': { batch: 1, queries: 3, keys: 8, heads: 2, kvHeads: 1, headDim: 10, causal: true, position: 5, rotated: true },
  'a window longer than the sequence': {
    batch: 2,
    queries: 7,
    keys: 7,
    heads: 2,
    kvHeads: 1,
    headDim: 16,
    causal: true,
    window: 9,
    segments: 'shared',
    rotated: true,
  },
  'decoding from a cache through a window': { batch: 1, queries: 1, keys: 30, heads: 4, kvHeads: 2, headDim: 16, causal: true, position: 21, window: 5 },
};

/** Schedules that suit a head dimension; `size` is the device's subgroup size. */
export function attentionSchedules(headDim: number, size: number | null): Record<string, AttentionSchedule> {
  const all: Record<string, AttentionSchedule> = {
    'one row a lane': rows({ lanes: 4, rows: 1 }),
    'several rows a lane': rows({ lanes: 3, rows: 2 }),
    'split walk': rows({ lanes: 2, rows: 2, splits: 4 }),
  };
  if (size === null) return all;
  if (headDim % 8 === 0) {
    all['split head dimension'] = rows({ lanes: 2, rows: 2, dimLanes: 2 });
    all['split both'] = rows({ lanes: 3, rows: 2, splits: 4, dimLanes: 2 });
  }
  if (headDim % 16 === 0) {
    all['split both, four lanes a row'] = rows({ lanes: 4, rows: 1, splits: 2, dimLanes: 4 });
    all['one row, split walk'] = rows({ lanes: 1, rows: 1, splits: 8, dimLanes: 4 });
  }
  all['spread'] = spread({ lanes: size, rows: 2 });
  all['spread, one row'] = spread({ lanes: size, rows: 1 });
  return all;
}

/** @file How a matmul is cut into workgroups, tiles and steps. */

import type { MatrixShape } from '../../../runtime/matrices.ts';

/** What operands of products may be rounded to: `f32` keeps them, `f16` lets matrices of f16 multiply them; sums are f32 either way. */
export type MatmulPrecision = 'f32' | 'f16';

/**
 * How a matmul is cut. A lane computes rows × cols elements of every result; a workgroup has lanes[0] lanes along n, lanes[1] along m.
 * - register: operands are loaded from memory by each lane; with lanes[1] = 1 the loads of A are uniform over the workgroup.
 * - subgroup: one subgroup (of lanes[0] lanes) a workgroup; A is loaded once by its lanes and broadcast.
 * - shared: tiles of depth `depth` go through workgroup memory (rows and cols multiples of 4).
 * - matrix: as shared, but tiles are multiplied by subgroup matrices of `matrix`'s shape, each subgroup as a lane that computes
 *   rows × cols; operands are converted to the matrices' input type.
 */
export interface MatmulSchedule {
  readonly kind: 'register' | 'subgroup' | 'shared' | 'matrix';
  readonly lanes: readonly [number, number];
  readonly rows: number;
  readonly cols: number;
  /** k elements per iteration (register: a multiple of 4, or 1; subgroup: a multiple of 4, at most its lanes) or per tile (shared: a multiple of 4; matrix: of the fragments' k). */
  readonly depth: number;
  /** register only: that many lanes share the k axis and add up through workgroup memory at the end. */
  readonly kLanes: number;
  /** Whether neighbouring invocations are neighbours along k (B contiguous along k) rather than along n. */
  readonly kFirst: boolean;
  /** register, subgroup: products of that many k are added to each other before they go to the sum (a power of two): where sums are spilled, that is what costs. */
  readonly fold: number;
  /** register, subgroup: whether products of different B are walked one after the other: where sums are spilled, what they share of A saves nothing. */
  readonly inTurn: boolean;
  /** register, subgroup: whether rows are stored in a loop, out of an array: less code, for compilers that take long for it. */
  readonly storeLoop: boolean;
  /** register, subgroup: whether products are added by `fma`, one after the other: where the driver makes one instruction of it, and two of a product and a sum. */
  readonly fma: boolean;
  /** subgroup: whether B's side is computed along the rows and broadcast, A's along the lanes: for few columns and many rows. */
  readonly swapped: boolean;
  /** Workgroups that share the k axis of a tile: their partial sums go to scratch, and a second kernel adds them in order (./matmulSplit.ts). */
  readonly kGroups: number;
  /** shared, matrix: whether the next tile is loaded into registers while a tile is multiplied, so that its loads are not waited for. */
  readonly ahead: boolean;
  /** shared, matrix: tiles of each operand in workgroup memory; with two, one is filled while others still multiply the other: one barrier a tile. */
  readonly buffers: 1 | 2;
  /** Whether A, B are loaded as vec4 where their port allows it. */
  readonly vectorA: boolean;
  readonly vectorB: boolean;
  /** matrix only: what a subgroup multiplies at once. */
  readonly matrix?: MatrixShape | undefined;
}

/** What most schedules have in common. */
export const BASE = {
  kLanes: 1,
  kFirst: false,
  fold: 1,
  inTurn: false,
  storeLoop: false,
  fma: false,
  swapped: false,
  kGroups: 1,
  ahead: false,
  buffers: 1,
  vectorA: true,
  vectorB: true,
} as const;

/** One row and four columns a lane, element by element from memory: nothing to go wrong. */
export const PLAIN: MatmulSchedule = { ...BASE, kind: 'register', lanes: [8, 1], rows: 1, cols: 4, depth: 1, vectorA: false, vectorB: false };

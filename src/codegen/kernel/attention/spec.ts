/** @file What attention kernels compute and how they are cut. */

import type { Expr } from '../ir.ts';
import type { Size } from '../size.ts';

/**
 * softmax(scale · q kᵀ) v for q [B, T, H, D] and k, v [B, S, Hkv, D]; head h reads key head ⌊h · Hkv / H⌋.
 * Key j is visible to query i when all of what is set holds: causal: j ≤ i + position; window: i + position − j < window;
 * segments: segK[j] = segQ[i] ≠ 0. A query that sees nothing gives out 0, lse 0 and no gradient.
 */
export interface AttentionSpec {
  readonly name: string;
  readonly dims: { readonly batch: Size; readonly queries: Size; readonly keys: Size };
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly window: number | null;
  /** Scores s become softCap · tanh(s / softCap). */
  readonly softCap: number | null;
  /** `shared`: queries and keys have the same segments, bound once. */
  readonly segments: boolean | 'shared';
  /** Gradients: q and k were rotated by angles [positions, D], and dq and dk are turned back. */
  readonly rotation: { readonly positions: number } | null;
  /** Added to the query index (u32): how many keys of a cache come before the first query. */
  readonly position: Expr | null;
  /** The run-time value of a dimension symbol. */
  readonly dim: (symbol: string) => Expr;
}

/**
 * - rows: a workgroup has lanes × splits × dimLanes invocations. A lane keeps `rows` rows (queries; keys in the dK/dV kernel)
 *   in registers and walks over the other side, whose loads are uniform over the lanes. For GPUs.
 * - subgroup: a workgroup is one subgroup of `lanes` lanes with `rows` rows; lanes go along the other side for the scores and
 *   along the head dimension for the sums, weights passing by broadcast. Little unrolled code: for software adapters.
 */
export interface AttentionSchedule {
  readonly kind: 'rows' | 'subgroup';
  readonly lanes: number;
  readonly rows: number;
  /** rows only, a power of two: that many lanes take every splits-th step of the same rows' walk and merge at the end, where rows are few for a GPU. */
  readonly splits: number;
  /** rows only: that many neighbours of one subgroup share a row's head dimension: 1, 2, 4 or 8, dividing headDim / 4. */
  readonly dimLanes: number;
}

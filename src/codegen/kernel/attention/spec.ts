/** @file What attention kernels compute. */

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
  /** Whether there are segments; `shared`: queries and keys have the same, which are bound once. */
  readonly segments: boolean | 'shared';
  /** Where q and k were rotated by angles [positions, D], the gradients dq and dk are turned back. */
  readonly rotation: { readonly positions: number } | null;
  /** Added to the query index (u32): how many keys of a cache come before the first query. */
  readonly position: Expr | null;
  /** The run-time value of a dimension symbol. */
  readonly dim: (symbol: string) => Expr;
}

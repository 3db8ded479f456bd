/** @file What a matmul kernel computes: its sizes, and ports through which operands come and results leave, on a kernel in progress. */

import type { Expr } from '../ir.ts';
import type { Size } from '../size.ts';

/** An operand, read through whatever pointwise prologue is fused into it. Products that read the same hold one port, and it is read once. */
export interface MatmulPort {
  /** The axis along which four consecutive elements are one aligned vec4 in memory; ignored where four do not divide its size. */
  readonly vectorAxis: 'k' | 'mn' | null;
  /**
   * Emits the load of one element (f32), or of four along `vectorAxis` (vec4f, that index a multiple of 4).
   * The kernel clamps: indices are always in bounds.
   */
  load(at: { readonly batch: Expr; readonly mn: Expr; readonly k: Expr }, width: 1 | 4): Expr;
}

/** The results, written through whatever epilogue is fused into them. */
export interface MatmulStore {
  /** The axis along which four elements are stored at once; ignored where four do not divide its size. */
  readonly vectorAxis: 'm' | 'n' | null;
  /** Emits the stores of one element of every result (f32), or of four along `vectorAxis` (vec4f). Called for elements in bounds alone. */
  store(at: { readonly batch: Expr; readonly m: Expr; readonly n: Expr }, values: readonly Expr[], width: 1 | 4): void;
}

/** A product Σ_k a[batch, m, k] · b[batch, k, n], which is added to one of the results. */
export interface MatmulProduct {
  readonly a: MatmulPort;
  readonly b: MatmulPort;
  readonly into: number;
}

/** A walk along k. */
export interface MatmulLoop {
  readonly k: Size;
  readonly products: readonly MatmulProduct[];
}

/** Results [batch, m, n], each the sum of its products. */
export interface MatmulSpec {
  readonly batch: Size;
  readonly m: Size;
  readonly n: Size;
  readonly results: number;
  readonly loops: readonly MatmulLoop[];
  readonly store: MatmulStore;
  /** The run-time value of a dimension symbol. */
  readonly dim: (symbol: string) => Expr;
}

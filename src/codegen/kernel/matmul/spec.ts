/** @file What a matmul kernel is made of: ports for its operands and result, sizes, and the schedule that shapes it. */

import type { KernelBuilder } from '../builder.ts';
import type { Expr } from '../ir.ts';
import type { Size } from '../size.ts';

/** An operand read through whatever pointwise prologue is fused into it. */
export interface MatmulPort {
  /** The axis along which four consecutive elements are one aligned vec4 in memory; ignored if the size is no multiple of 4. */
  readonly vectorAxis: 'k' | 'mn' | null;
  /**
   * Emits the load of one element (f32), or of four along `vectorAxis` (vec4f, that index a multiple of 4).
   * The kernel clamps: indices are always in bounds.
   */
  load(b: KernelBuilder, at: { batch: Expr; mn: Expr; k: Expr }, width: 1 | 4): Expr;
}

/** The result, written through whatever epilogue is fused into it. */
export interface MatmulStore {
  /** The axis along which four elements are stored at once; ignored if its size is no multiple of 4. */
  readonly vectorAxis: 'm' | 'n' | null;
  /** Emits the stores of one element of every result (f32), or of four along `vectorAxis` (vec4f). Called for in-bounds elements only. */
  store(b: KernelBuilder, at: { batch: Expr; m: Expr; n: Expr }, values: readonly Expr[], width: 1 | 4): void;
}

/** Declares its buffers when it is called. Products that share one read it once. */
export type Operand = (b: KernelBuilder) => MatmulPort;

/** A walk along k: each product Σ_k a[batch, m, k] · b[batch, k, n] is added to one of the results. */
export interface MatmulLoop {
  readonly k: Size;
  readonly products: readonly { readonly a: Operand; readonly b: Operand; readonly into: number }[];
}

/** Results [batch, m, n], each the sum of its products. Operands are called in the order of the loops, then `store`. */
export interface MatmulSpec {
  readonly name: string;
  readonly batch: Size;
  readonly m: Size;
  readonly n: Size;
  readonly results: number;
  readonly loops: readonly MatmulLoop[];
  readonly store: (b: KernelBuilder) => MatmulStore;
  /** The run-time value of a dimension symbol. */
  readonly dim: (symbol: string) => Expr;
}

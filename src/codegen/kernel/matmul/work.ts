/** @file What the schedule of a matmul is chosen by: its sizes, what it does besides, how its operands lie in memory, what they may be rounded to. */

import type { MatmulPort } from './spec.ts';

/** Typical sizes. A symbolic dimension has the value that the schedule should suit. */
export interface MatmulSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Products of that size side by side; default 1. */
  readonly batch?: number;
}

/** Along which axis four elements of each side are read at once. */
export interface MatmulLayout {
  readonly a: MatmulPort['vectorAxis'];
  readonly b: MatmulPort['vectorAxis'];
}

/** What a matmul does besides one product. */
export interface MatmulLoad {
  /** Products in all: of several results, or of one sum. */
  readonly products: number;
  /** Operands of each side in one walk along k. */
  readonly operands: { readonly a: number; readonly b: number };
  /** Ops at each element of its results. */
  readonly perElement: number;
  /** Whether every training step runs it, whatever is dropped, so that it soon earns back what it takes longer to compile. Default false. */
  readonly everyStep?: boolean;
}

/** What operands of products may be rounded to: `f32` keeps them, `f16` lets matrices of f16 multiply them; sums are f32 either way. */
export type MatmulPrecision = 'f32' | 'f16';

export interface MatmulWork {
  readonly sizes: MatmulSizes;
  readonly layout: MatmulLayout;
  readonly load: MatmulLoad;
  readonly precision: MatmulPrecision;
}

/** One product and nothing else. */
export const SINGLE: MatmulLoad = { products: 1, operands: { a: 1, b: 1 }, perElement: 0 };

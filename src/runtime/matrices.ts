/** @file Subgroup matrices (tensor cores, simdgroup matrices) that a device offers: WebGPU's experimental feature of Chromium and Dawn. */

export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix';

/** A product of fragments: [m, k] × [k, n] in `input`, added up in f32. */
export interface MatrixProduct {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly input: 'f16' | 'f32';
}

/** A product of fragments that a device does at once. */
export interface MatrixShape extends MatrixProduct {
  /** Lanes of the subgroup that does it. */
  readonly lanes: number;
}

export interface MatrixTraits {
  readonly shapes: readonly MatrixShape[];
  /** Workgroups of kernels with matrices have a multiple of this many invocations: the largest subgroup there is. */
  readonly multiple: number;
}

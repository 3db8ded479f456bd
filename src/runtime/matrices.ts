/** @file Subgroup matrices (tensor cores, simdgroup matrices) as an adapter tells of them: WebGPU's experimental feature of Chromium and Dawn. */

import type { AdapterKind } from './adapterKind.ts';

export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix';

/** A product of fragments that a device does at once: [m, k] × [k, n] in `input`, added up in f32. */
export interface MatrixShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly input: 'f16' | 'f32';
  /** Lanes of the subgroup that does it. */
  readonly lanes: number;
}

export interface MatrixTraits {
  readonly shapes: readonly MatrixShape[];
  /** Workgroups of kernels with matrices have a multiple of this many invocations: the largest subgroup there is. */
  readonly multiple: number;
}

/** What of `adapter.info` says which matrices there are; Dawn's own names. */
export interface MatrixInfo {
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
  readonly subgroupMatrixConfigs?: readonly {
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }[];
}

/** Lanes of a subgroup of every Apple GPU; Dawn tells 4 to 64 there. */
const APPLE_LANES = 32;

/** The matrices of an adapter whose subgroups have a known size, those that add up in f32; null where there are none. */
export function matrixTraits(kind: AdapterKind, info: MatrixInfo, features: { has(feature: string): boolean }): MatrixTraits | null {
  const { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs = [] } = info;
  if (!features.has(MATRIX_FEATURE) || subgroupMinSize === undefined || subgroupMaxSize === undefined) return null;
  const lanes = kind === 'apple' ? APPLE_LANES : subgroupMinSize === subgroupMaxSize ? subgroupMinSize : null;
  if (lanes === null) return null;
  const usable = (type: string): type is MatrixShape['input'] => type === 'f32' || (type === 'f16' && features.has('shader-f16'));
  const shapes = subgroupMatrixConfigs.flatMap(({ componentType, resultComponentType, M, N, K }): MatrixShape[] =>
    resultComponentType === 'f32' && usable(componentType) ? [{ m: M, n: N, k: K, input: componentType, lanes }] : [],
  );
  return shapes.length > 0 ? { shapes, multiple: subgroupMaxSize } : null;
}

/** @file A WebGPU adapter as a device profile: its names, features, limits, subgroups and matrices, in Ebb's terms. */

import { type AdapterKind, adapterKind } from '../adapterKind.ts';
import { DEVICE_FEATURES, DEVICE_LIMITS, type DeviceLimits, type DeviceProfile, WEBGPU_TARGET } from '../deviceProfile.ts';
import { MATRIX_FEATURE, type MatrixShape, type MatrixTraits } from '../matrices.ts';

/** The fields of `adapter.info` that say how wide subgroups are, and which matrices they multiply. The names are Dawn's. */
export interface SubgroupInfo {
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

/** The matrices of an adapter whose subgroups have a known size, of which those that add up in f32; null where there are none. */
export function matrixTraits(kind: AdapterKind, info: SubgroupInfo, features: { has(feature: string): boolean }): MatrixTraits | null {
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

/** What an adapter is called: its vendor, architecture and description. */
export function adapterName({ vendor, architecture, description }: GPUAdapterInfo): string {
  return [vendor, architecture, description].filter((part) => part !== '').join(' ');
}

/** The device that an adapter gives with all of its limits and all features that Ebb has a use for. */
export function adapterProfile({ info, features, limits }: Pick<GPUAdapter, 'info' | 'features' | 'limits'>): DeviceProfile {
  const kind = adapterKind(info);
  const subgroupInfo: SubgroupInfo = info;
  const { subgroupMinSize: least, subgroupMaxSize: most } = subgroupInfo;
  const known: ReadonlySet<string> = features;
  const matrices = matrixTraits(kind, subgroupInfo, known);
  return {
    name: adapterName(info),
    target: WEBGPU_TARGET,
    kind,
    features: DEVICE_FEATURES.filter((feature) => known.has(feature) && (feature !== MATRIX_FEATURE || matrices !== null)),
    limits: Object.fromEntries(DEVICE_LIMITS.map((name): [string, number] => [name, limits[name]])) as DeviceLimits,
    subgroups: least === undefined || most === undefined || !known.has('subgroups') ? null : { least, most },
    matrices,
  };
}

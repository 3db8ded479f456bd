/** @file What a device is like, as plain data: all that schedules, plans and the engine ask of it. So a model can be compiled for a device that is not there. */

import type { AdapterKind } from './adapterKind.ts';
import { MATRIX_FEATURE, type MatrixTraits } from './matrices.ts';

/** The language that WebGPU's devices take. */
export const WEBGPU_TARGET = 'wgsl';

/** Features that kernels and measurements may use, by WebGPU's names. */
export const DEVICE_FEATURES: readonly string[] = ['subgroups', 'shader-f16', 'timestamp-query', MATRIX_FEATURE];

/** Limits that programs run up against, by WebGPU's names: bytes, counts and workgroups. */
export const DEVICE_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxDynamicStorageBuffersPerPipelineLayout',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Every limit of a device by its name. */
export type DeviceLimits = Readonly<Record<(typeof DEVICE_LIMITS)[number], number>>;

/** Lanes of a subgroup: the driver may choose any power of two between the two numbers. */
export interface SubgroupSizes {
  readonly least: number;
  readonly most: number;
}

/** A device as the compiler, the plan and the engine see it. */
export interface DeviceProfile {
  /** What a person calls it. */
  readonly name: string;
  /** The language that its kernels are in, by the target's name. */
  readonly target: string;
  /** Whose device it is: schedules are chosen by that. */
  readonly kind: AdapterKind;
  /** Those of `DEVICE_FEATURES` that it has. */
  readonly features: readonly string[];
  readonly limits: DeviceLimits;
  /** Null where it says nothing about its subgroups. */
  readonly subgroups: SubgroupSizes | null;
  /** Matrices that subgroups multiply; null where there are none. */
  readonly matrices: MatrixTraits | null;
}

/** Lanes of a subgroup where kernels may use subgroups and all have the same size; else null. */
export function subgroupSizeOf({ features, subgroups }: Pick<DeviceProfile, 'features' | 'subgroups'>): number | null {
  return features.includes('subgroups') && subgroups !== null && subgroups.least === subgroups.most ? subgroups.least : null;
}

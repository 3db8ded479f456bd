/** @file What of a device the kernels depend on. */

import type { AdapterKind } from '../../runtime/adapterKind.ts';
import { type DeviceProfile, subgroupSizeOf } from '../../runtime/deviceProfile.ts';
import type { MatrixTraits } from '../../runtime/matrices.ts';

/** What of a device the schedules depend on. */
export interface DeviceTraits {
  readonly kind: AdapterKind;
  /** Whether kernels may use subgroup operations (and subgroups have at least four lanes). */
  readonly subgroups: boolean;
  /** Lanes of a subgroup where subgroups are enabled and the size is fixed (minimum = maximum), else null. */
  readonly subgroupSize: number | null;
  /** Matrices that subgroups multiply, where the device offers them and kernels may use them. */
  readonly matrices?: MatrixTraits | null;
  readonly maxInvocations: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
}

/** What schedules ask of a device that is like this. */
export function deviceTraits({ profile }: { readonly profile: DeviceProfile }): DeviceTraits {
  const { kind, features, limits, matrices } = profile;
  return {
    kind,
    subgroups: features.includes('subgroups'),
    subgroupSize: subgroupSizeOf(profile),
    matrices,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupStorage: limits.maxComputeWorkgroupStorageSize,
  };
}

/** GPUs with many cores. */
const large = ({ kind }: DeviceTraits): boolean => kind === 'nvidia' || kind === 'amd';

/** Workgroups that give every core of a GPU something to do. */
export const busyGroups = (device: DeviceTraits): number => (large(device) ? 128 : 48);

/** Lanes in flight that keep a GPU busy while loads are waited for, whatever the size of a workgroup: 128 cores of NVIDIA's hold eight times as many. */
export const busyLanes = (device: DeviceTraits): number => (large(device) ? 32768 : 8192);

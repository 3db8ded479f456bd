/** @file What of an opened device the compiler's schedules depend on. */

import type { AdapterKind } from '../runtime/adapterKind.ts';
import type { MatrixTraits } from '../runtime/matrices.ts';
import type { OpenedDevice } from './adapter.ts';

export interface OpenedTraits {
  readonly kind: AdapterKind;
  readonly subgroups: boolean;
  readonly subgroupSize: number | null;
  readonly matrices: MatrixTraits | null;
  readonly maxInvocations: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
}

/** What the compiler asks of an opened device: the `traits` of `compileModel`'s `device`. */
export function deviceTraits({ kind, features, subgroupSize, matrices, device }: OpenedDevice): OpenedTraits {
  return {
    kind,
    subgroups: features.includes('subgroups'),
    subgroupSize,
    matrices,
    maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
  };
}

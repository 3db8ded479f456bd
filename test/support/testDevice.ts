/** @file A WebGPU device for tests: the best adapter, or the one EBB_ADAPTER names; bounds checks off as in production. */

import { openDevice } from '../../src/node/adapter.ts';
import type { DeviceTraits } from '../../src/codegen/kernel/schedule.ts';

export interface TestDevice {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
}

export async function openTestDevice(): Promise<TestDevice> {
  const opened = await openDevice();
  const { device } = opened;
  return {
    device,
    traits: {
      kind: opened.kind,
      subgroups: opened.features.includes('subgroups'),
      subgroupSize: opened.subgroupSize,
      maxInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupStorage: device.limits.maxComputeWorkgroupStorageSize,
    },
  };
}

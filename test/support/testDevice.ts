/** @file A WebGPU device for tests: whatever Vulkan adapter the environment offers, bounds checks off as in production. */

import { adapterKind, type DeviceTraits } from '../../src/codegen/kernel/schedule.ts';

// module scope: Dawn's instance has to outlive its devices
let instance: GPU | undefined;

export interface TestDevice {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
}

export async function openTestDevice(): Promise<TestDevice> {
  const { create } = await import('webgpu');
  instance ??= create(['backend=vulkan', 'enable-dawn-features=disable_robustness']) as GPU;
  const adapter = await instance.requestAdapter();
  if (adapter === null)
    throw new Error('kernel tests need a WebGPU adapter: install lavapipe or set VK_ICD_FILENAMES to a Vulkan driver');
  const subgroups = adapter.features.has('subgroups');
  const { maxStorageBuffersPerShaderStage } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures: subgroups ? ['subgroups'] : [],
    requiredLimits: { maxStorageBuffersPerShaderStage },
  });
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  return {
    device,
    traits: {
      kind: adapterKind(adapter.info),
      subgroups,
      subgroupSize: subgroups && subgroupMinSize === subgroupMaxSize ? (subgroupMinSize ?? null) : null,
      maxInvocations: 256,
      maxWorkgroupStorage: 16384,
    },
  };
}

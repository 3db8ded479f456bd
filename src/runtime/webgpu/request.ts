/** @file Asks a WebGPU adapter for its device. */

import type { DeviceProfile } from '../deviceProfile.ts';

/** WebGPU's device of an adapter, with all that the adapter's profile says. */
export function requestGpu(adapter: GPUAdapter, { features, limits }: DeviceProfile): Promise<GPUDevice> {
  return adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits: limits });
}

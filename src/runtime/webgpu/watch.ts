/** @file A WebGPU device as Ebb asks for it: the adapter's own limits, and what goes wrong outside of any call. */

import { EbbError } from '../../errors.ts';

const LIMITS = [
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

/** The limits that programs run up against, as far as the adapter goes. */
export function adapterLimits({ limits }: Pick<GPUAdapter, 'limits'>): Record<string, number> {
  return Object.fromEntries(LIMITS.map((name): [string, number] => [name, limits[name] ?? 0]).filter(([, limit]) => limit > 0));
}

/** Reports what goes wrong on a device outside of any call: errors it was not asked for, and its loss unless it was destroyed. */
export function watchDevice(device: GPUDevice, report: (error: EbbError) => void): void {
  device.addEventListener('uncapturederror', (event) => report(new EbbError(`the device reports an error: ${event.error.message}`)));
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed')
      report(
        new EbbError(
          `the device was lost (${reason || 'unknown reason'}): ${message}; resume from the last checkpoint, with a smaller batch or length if it happens again`,
        ),
      );
  });
}

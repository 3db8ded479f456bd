/** @file A device of a session, and the same as the compiler takes it. */

import { deviceTraits } from '../codegen/kernel/device.ts';
import type { ChooseSchedule } from '../codegen/kernel/lower/choice.ts';
import type { MatmulPrecision } from '../codegen/kernel/matmul/work.ts';
import { type CompileDevice, widenOnceFor } from '../compile/functions.ts';
import type { Device } from '../runtime/device.ts';

/** A device, and how kernels for it are made. */
export interface SessionDevice {
  readonly device: Device;
  /** What the operands of matrix products may be rounded to. Default: f32, so they are not rounded. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** Chooses the schedules of kernels; default: what the device's kind starts with. */
  readonly choose?: ChooseSchedule | undefined;
}

/** A device as the compiler takes it. */
export function compileDeviceOf({
  device,
  choose,
  matmulPrecision,
}: Omit<SessionDevice, 'device'> & { readonly device: Pick<Device, 'profile'> }): CompileDevice {
  const traits = deviceTraits(device);
  const { limits } = device.profile;
  return {
    choose,
    matmulPrecision,
    traits,
    target: device.profile.target,
    maxBuffers: limits.maxStorageBuffersPerShaderStage,
    limits: {
      maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupSize: [limits.maxComputeWorkgroupSizeX, limits.maxComputeWorkgroupSizeY, limits.maxComputeWorkgroupSizeZ],
      maxWorkgroupStorage: limits.maxComputeWorkgroupStorageSize,
    },
    widenOnce: widenOnceFor(traits),
    maxBinding: limits.maxStorageBufferBindingSize,
  };
}

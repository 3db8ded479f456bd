/** @file What a device allows of a kernel. */

import { bytesOf, type Kernel } from '../ir.ts';

export interface KernelLimits {
  readonly maxInvocations: number;
  readonly maxWorkgroupSize: readonly [number, number, number];
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupStorage: number;
  readonly maxStorageBuffers: number;
}

/** WebGPU's defaults, which every device allows. */
export const DEFAULT_LIMITS: KernelLimits = {
  maxInvocations: 256,
  maxWorkgroupSize: [256, 256, 64],
  maxWorkgroupStorage: 16384,
  maxStorageBuffers: 8,
};

/** Bytes of a kernel's workgroup memory as WebGPU counts them: each array is whole multiples of 16. */
export function workgroupBytes({ shared }: Pick<Kernel, 'shared'>): number {
  return shared.reduce((sum, { type, length }) => sum + Math.ceil((bytesOf(type) * length) / 16) * 16, 0);
}

/** Everything in which a kernel goes beyond the limits. */
export function limitProblems(kernel: Kernel, limits: KernelLimits): readonly string[] {
  const [x, y, z] = kernel.workgroup;
  const [mostX, mostY, mostZ] = limits.maxWorkgroupSize;
  const whole = kernel.workgroup.every((size) => Number.isInteger(size) && size >= 1);
  const beyond = (found: number, most: number, what: string): string[] => (found > most ? [`${what}, the device allows ${most}`] : []);
  const bytes = workgroupBytes(kernel);
  return [
    ...(whole ? [] : [`the workgroup ${kernel.workgroup.join(' × ')} is no shape`]),
    ...beyond(x * y * z, limits.maxInvocations, `${x * y * z} invocations a workgroup`),
    ...beyond(x, mostX, `workgroup size ${x} along x`),
    ...beyond(y, mostY, `workgroup size ${y} along y`),
    ...beyond(z, mostZ, `workgroup size ${z} along z`),
    ...beyond(bytes, limits.maxWorkgroupStorage, `${bytes} bytes of workgroup memory`),
    ...beyond(kernel.buffers.length, limits.maxStorageBuffers, `${kernel.buffers.length} storage buffers`),
  ];
}

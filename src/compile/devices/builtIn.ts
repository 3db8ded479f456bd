/**
 * @file Profiles of devices that need not be there, by the names that `ebb compile --device` takes.
 *
 * Sources: the software adapters are as they describe themselves (SwiftShader of Chromium 147, lavapipe of Mesa 25.0). Limits of GPUs are the
 * highest tiers of Dawn's (src/dawn/native/Limits.cpp, which is what browsers report) that the vendor's desktop GPUs of the last years reach by
 * vulkan.gpuinfo.org and Apple's Metal feature set tables; subgroups are as Vulkan and Dawn report them. A GPU with less is refused by the
 * trainer, with what it lacks.
 */

import type { AdapterKind } from '../../runtime/adapterKind.ts';
import { type DeviceLimits, type DeviceProfile, WEBGPU_TARGET } from '../../runtime/deviceProfile.ts';
import { MATRIX_FEATURE, type MatrixShape } from '../../runtime/matrices.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** WebGPU's defaults, which every device has. */
const DEFAULTS: DeviceLimits = {
  maxStorageBufferBindingSize: 128 * MIB,
  maxBufferSize: 256 * MIB,
  maxStorageBuffersPerShaderStage: 8,
  maxDynamicStorageBuffersPerPipelineLayout: 4,
  maxComputeWorkgroupStorageSize: 16 * 1024,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** What desktop GPUs have. */
const DESKTOP: DeviceLimits = {
  ...DEFAULTS,
  maxStorageBufferBindingSize: 4 * GIB - 4,
  maxBufferSize: 4 * GIB - 4,
  maxStorageBuffersPerShaderStage: 16,
  maxDynamicStorageBuffersPerPipelineLayout: 8,
  maxComputeWorkgroupStorageSize: 32 * 1024,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
};

const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'];
const shapes = (lanes: number, ...list: readonly Omit<MatrixShape, 'lanes'>[]): MatrixShape[] => list.map((shape) => ({ ...shape, lanes }));

/** What runs on any device with WebGPU: no feature, and the limits that all have. */
export const PORTABLE: DeviceProfile = {
  name: 'any WebGPU device',
  target: WEBGPU_TARGET,
  kind: 'other',
  features: [],
  limits: DEFAULTS,
  subgroups: null,
  matrices: null,
};

/** Profiles by name. */
export const BUILT_IN: Readonly<Record<Exclude<AdapterKind, 'other'>, DeviceProfile>> = {
  nvidia: {
    name: 'NVIDIA, profile of Turing and newer',
    target: WEBGPU_TARGET,
    kind: 'nvidia',
    features: [...FEATURES, MATRIX_FEATURE],
    limits: { ...DESKTOP, maxComputeWorkgroupStorageSize: 48 * 1024 },
    subgroups: { least: 32, most: 32 },
    matrices: { shapes: shapes(32, { m: 16, n: 8, k: 16, input: 'f16' }, { m: 16, n: 16, k: 16, input: 'f16' }), multiple: 32 },
  },
  amd: {
    name: 'AMD, profile of RDNA',
    target: WEBGPU_TARGET,
    kind: 'amd',
    features: FEATURES,
    // A compute unit has 64 KiB; the driver compiles a shader for 32 or for 64 lanes.
    limits: { ...DESKTOP, maxComputeWorkgroupStorageSize: 64 * 1024 },
    subgroups: { least: 32, most: 64 },
    matrices: null,
  },
  apple: {
    name: 'Apple, profile of M1 and newer',
    target: WEBGPU_TARGET,
    kind: 'apple',
    features: [...FEATURES, MATRIX_FEATURE],
    // Dawn binds at most 10 storage buffers through Metal.
    limits: { ...DESKTOP, maxStorageBuffersPerShaderStage: 10 },
    subgroups: { least: 4, most: 64 },
    matrices: { shapes: shapes(32, { m: 8, n: 8, k: 8, input: 'f16' }, { m: 8, n: 8, k: 8, input: 'f32' }), multiple: 64 },
  },
  intel: {
    name: 'Intel, profile of Xe',
    target: WEBGPU_TARGET,
    kind: 'intel',
    features: FEATURES,
    limits: { ...DESKTOP, maxStorageBufferBindingSize: GIB, maxBufferSize: 2 * GIB },
    subgroups: { least: 8, most: 32 },
    matrices: null,
  },
  lavapipe: {
    name: 'lavapipe, profile of Mesa 25',
    target: WEBGPU_TARGET,
    kind: 'lavapipe',
    features: FEATURES,
    limits: {
      ...DEFAULTS,
      maxBufferSize: 4 * GIB - 1,
      maxStorageBuffersPerShaderStage: 16,
      maxDynamicStorageBuffersPerPipelineLayout: 16,
      maxComputeWorkgroupStorageSize: 32 * 1024,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupSizeX: 1024,
      maxComputeWorkgroupSizeY: 1024,
      maxComputeWorkgroupSizeZ: 1024,
    },
    subgroups: { least: 8, most: 8 },
    matrices: null,
  },
  swiftshader: {
    name: 'SwiftShader, profile of Chromium 147',
    target: WEBGPU_TARGET,
    kind: 'swiftshader',
    features: ['subgroups', 'timestamp-query'],
    limits: {
      ...DEFAULTS,
      maxStorageBufferBindingSize: GIB,
      maxBufferSize: GIB,
      maxStorageBuffersPerShaderStage: 12,
      maxComputeWorkgroupStorageSize: 32 * 1024,
    },
    subgroups: { least: 4, most: 4 },
    matrices: null,
  },
};

/** The name of the profile of any WebGPU device. */
export const ANY_DEVICE = 'portable';

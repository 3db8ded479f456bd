/** @file What plan.json asks of a device: as much as the kernels' text and the buffers take, and no more. */

import { BUILT_IN, PORTABLE } from '../../src/compile/devices/builtIn.ts';
import { inspect } from '../../src/inspect/stages.ts';
import { extentBytes } from '../../src/runtime/program.ts';
import { requirementsOf } from '../../src/session/requirements.ts';
import { compileDeviceOf } from '../../src/session/sessionDevice.ts';
import { CPU_DEVICE, tinyModel } from '../support/tinyModels.ts';

const BYTES: Readonly<Record<string, number>> = { f32: 4, i32: 4, u32: 4, f16: 2, vec2f: 8, vec4f: 16, vec4h: 8 };

/** Workgroup memory of a kernel as WebGPU counts it. */
function workgroupBytes(wgsl: string): number {
  return [...wgsl.matchAll(/var<workgroup> \w+: array<(.+), (\d+)>;/g)].reduce((sum, [, type, length]) => {
    expect(Object.keys(BYTES)).toContain(type);
    return sum + Math.ceil((BYTES[type!]! * Number(length)) / 16) * 16;
  }, 0);
}
const invocations = (wgsl: string): number =>
  /@workgroup_size\((.*?)\)/
    .exec(wgsl)![1]!
    .split(',')
    .reduce((n, size) => n * Number(size), 1);

it.each([
  ['with subgroups', BUILT_IN.lavapipe],
  ['without', PORTABLE],
])('the largest workgroup of any kernel, %s', (_, profile) => {
  const { traits, ...device } = compileDeviceOf({ device: { profile } });
  const inspected = inspect(tinyModel(), { traits, ...device });
  const { pipelines } = inspected.compiled.program;
  const { features, subgroupSize, matrices, limits } = requirementsOf(inspected, profile);
  expect(limits['maxComputeInvocationsPerWorkgroup']).toBe(Math.max(...pipelines.map((p) => invocations(p.code))));
  const most = Math.max(...pipelines.map((p) => workgroupBytes(p.code)));
  expect(limits['maxComputeWorkgroupStorageSize'] ?? 0).toBe(most);
  expect(limits['maxStorageBuffersPerShaderStage']).toBe(Math.max(...pipelines.map((p) => p.access.length)));
  expect(features.includes('subgroups')).toBe(traits.subgroups);
  expect(subgroupSize).toBe(traits.subgroupSize);
  expect(matrices).toEqual([]);
  if (!traits.subgroups) expect(most).toBeGreaterThan(0);
});

it('the largest binding: a value, parameters that are updated together, or a part', () => {
  const binding = (model: Parameters<typeof tinyModel>[0], maxBinding: number): number | undefined =>
    requirementsOf(inspect(tinyModel(model), { ...CPU_DEVICE, maxBinding }), BUILT_IN.lavapipe).limits['maxStorageBufferBindingSize'];
  // logits f32[2,9,4096]
  expect(binding({ vocabSize: 4096, hiddenSize: 4 }, 2 ** 27)).toBe(extentBytes({ of: [2, 9, 4096], bytes: 4 }, {}));
  // an embedding f32[4096,64] that is the head too is larger, whatever the batch
  expect(binding({ vocabSize: 4096, hiddenSize: 64 }, 2 ** 31)).toBe(4096 * 64 * 4);
  expect(binding({ vocabSize: 4096, hiddenSize: 64 }, 2 ** 18)).toBe(2 ** 18);
});

it('the products of matrices that kernels multiply, where they multiply some', () => {
  const sizes = { hiddenSize: 64, headDim: 16, intermediateSize: 96, vocabSize: 100, dims: { B: 2, T: 64 } };
  const required = (matmulPrecision: 'f32' | 'f16') =>
    requirementsOf(inspect(tinyModel(sizes), compileDeviceOf({ device: { profile: BUILT_IN.nvidia }, matmulPrecision })), BUILT_IN.nvidia);
  const { features, matrices } = required('f16');
  expect(features).toContain('shader-f16');
  expect(matrices!.length).toBeGreaterThan(0);
  const offered = BUILT_IN.nvidia.matrices!.shapes.map(({ lanes: _lanes, ...product }) => product);
  for (const product of matrices!) expect(offered).toContainEqual(product);
  expect(required('f32').matrices).toEqual([]);
});

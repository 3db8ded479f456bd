/** @file What plan.json asks of a device: as much as the kernels' text and the buffers take, and no more. */

import { requirementsOf } from '../../src/cli/requirements.ts';
import type { CompileDevice } from '../../src/compile/functions.ts';
import { inspect } from '../../src/inspect/stages.ts';
import { extentBytes } from '../../src/runtime/program.ts';
import { CPU_DEVICE, tinyModel } from '../support/tinyModels.ts';

const BYTES: Readonly<Record<string, number>> = { f32: 4, i32: 4, u32: 4, f16: 2, vec2f: 8, vec4f: 16, vec4h: 8 };
const NO_SUBGROUPS: CompileDevice = { ...CPU_DEVICE, traits: { ...CPU_DEVICE.traits, kind: 'other', subgroups: false, subgroupSize: null } };

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
  ['with subgroups', CPU_DEVICE],
  ['without', NO_SUBGROUPS],
])('the largest workgroup of any kernel, %s', (_, device) => {
  const inspected = inspect(tinyModel(), device);
  const { pipelines } = inspected.compiled.program;
  const { features, subgroupSize, limits } = requirementsOf(inspected, device, false);
  expect(limits['maxComputeInvocationsPerWorkgroup']).toBe(Math.max(...pipelines.map((p) => invocations(p.wgsl))));
  const most = Math.max(...pipelines.map((p) => workgroupBytes(p.wgsl)));
  expect(limits['maxComputeWorkgroupStorageSize'] ?? 0).toBe(most);
  expect(limits['maxStorageBuffersPerShaderStage']).toBe(Math.max(...pipelines.map((p) => p.access.length)));
  expect(features.includes('subgroups')).toBe(device.traits.subgroups);
  expect(subgroupSize).toBe(device.traits.subgroupSize);
  if (!device.traits.subgroups) expect(most).toBeGreaterThan(0);
});

it('the largest binding: a value, parameters that are updated together, or a part', () => {
  const binding = (model: Parameters<typeof tinyModel>[0], maxBinding: number): number | undefined =>
    requirementsOf(inspect(tinyModel(model), { ...CPU_DEVICE, maxBinding }), CPU_DEVICE, false).limits['maxStorageBufferBindingSize'];
  // logits f32[2,9,4096]
  expect(binding({ vocabSize: 4096, hiddenSize: 4 }, 2 ** 27)).toBe(extentBytes({ of: [2, 9, 4096], bytes: 4 }, {}));
  // an embedding f32[4096,64] that is the head too is larger, whatever the batch
  expect(binding({ vocabSize: 4096, hiddenSize: 64 }, 2 ** 31)).toBe(4096 * 64 * 4);
  expect(binding({ vocabSize: 4096, hiddenSize: 64 }, 2 ** 18)).toBe(2 ** 18);
});

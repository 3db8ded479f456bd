/** @file Subgroup matrices: what the checker finds, what the interpreter does, and their WGSL as Dawn reads it. No adapter here multiplies them. */

import { create } from 'webgpu';
import { type KernelBuilder, kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import { kernelProblems } from '../../src/codegen/kernel/check/kernel.ts';
import { add, builtin, convert, f32, lt, u32 } from '../../src/codegen/kernel/expr.ts';
import { interpret } from '../../src/codegen/kernel/interpret/kernel.ts';
import type { FragmentType, Kernel } from '../../src/codegen/kernel/ir.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';
import { compileModel } from '../../src/compile/compile.ts';
import { MATRIX_FEATURE } from '../../src/runtime/matrices.ts';
import { LAYOUTS, matrixSchedules } from '../support/kernelCases.ts';
import { matmulKernels, matmulSpec, severalSpec } from '../support/matmulCase.ts';
import { type TinyOptions, tinyModel } from '../support/tinyModels.ts';

const LEFT: FragmentType = { role: 'left', scalar: 'f16', rows: 2, cols: 4 };
const RIGHT: FragmentType = { role: 'right', scalar: 'f16', rows: 4, cols: 3 };
const RESULT: FragmentType = { role: 'result', scalar: 'f32', rows: 2, cols: 3 };
const lane = builtin('localX');

function kernel(build: (b: KernelBuilder) => void, uses: Kernel['uses'] = { f16: true, matrices: true }): Kernel {
  const b = kernelBuilder('sample', [4, 1, 1], uses);
  build(b);
  return b.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]);
}

/** left × right twice, left loaded by columns; `forget` leaves out the barrier before the results are read. */
function product(b: KernelBuilder, forget = false): void {
  const [x, y, z] = [b.shared('x', 'f16', 16), b.shared('y', 'f16', 16), b.shared('z', 'f32', 10)];
  const out = b.buffer('out', 'f32', 'read_write');
  b.for('i', lane, u32(16), u32(4), (i) => {
    x.setAt(i, convert('f16', convert('f32', i)));
    y.setAt(i, convert('f16', convert('f32', i)));
  });
  b.barrier();
  const sum = b.fragment('sum', RESULT);
  const left = b.loadFragment('left', LEFT, x, u32(1), 3, 'cols');
  const right = b.loadFragment('right', RIGHT, y, u32(0), 4, 'rows');
  b.multiplyFragments(sum, left, right);
  b.multiplyFragments(sum, left, right);
  b.storeFragment(z, u32(1), 4, sum);
  if (!forget) b.barrier();
  b.for('i', lane, u32(10), u32(4), (i) => out.store(i, z.at(i)));
}

it('multiplies: operands by rows or columns at any offset and stride, sums kept', () => {
  const checked = kernel(product);
  expect(kernelProblems(checked)).toEqual([]);
  const out = new Float32Array(10);
  interpret(checked, { buffers: { out } });
  const element = (r: number, c: number): number => [0, 1, 2, 3].reduce((sum, k) => sum + 2 * (1 + k * 3 + r) * (k * 4 + c), 0);
  expect([...out]).toEqual([0, element(0, 0), element(0, 1), element(0, 2), 0, element(1, 0), element(1, 1), element(1, 2), 0, 0]);
});

it('shows a missing barrier', () => {
  const out = new Float32Array(10);
  interpret(
    kernel((b) => product(b, true)),
    { buffers: { out } },
  );
  // stored by lane 3, read by lane 1
  expect(out[5]).toBe(0);
});

it.each<[string, string, Kernel]>([
  ['undeclared use', 'matrices are not declared', kernel(product, { f16: true })],
  ['undeclared f16', 'f16 is used but not declared', kernel(product, { matrices: true })],
  [
    'fragments that do not fit',
    'result<f32, 2 × 3> += left<f16, 2 × 4> × right<f16, 3 × 3>',
    kernel((b) => {
      const x = b.shared('x', 'f16', 64);
      const left = b.loadFragment('left', LEFT, x, u32(0), 4, 'rows');
      b.multiplyFragments(b.fragment('sum', RESULT), left, b.loadFragment('right', { ...RIGHT, rows: 3 }, x, u32(0), 4, 'rows'));
    }),
  ],
  [
    'memory of another type',
    'x is f32, used for left<f16, 2 × 4>',
    kernel((b) => void b.loadFragment('left', LEFT, b.shared('x', 'f32', 64), u32(0), 4, 'rows')),
  ],
  ['too short a stride', 'a stride of 3 for lines of 4', kernel((b) => void b.loadFragment('left', LEFT, b.shared('x', 'f16', 64), u32(0), 3, 'rows'))],
  ['some invocations alone', 'where only some invocations', kernel((b) => b.if(lt(lane, u32(2)), () => void b.fragment('sum', RESULT)))],
  [
    'a fragment as a number',
    'sum is not a let or var or loop in scope',
    kernel((b) => {
      const { name } = b.fragment('sum', RESULT);
      b.let('x', add(f32(1), { kind: 'var', type: 'f32', name }));
    }),
  ],
])('the checker finds %s', (_name, problem, found) => {
  expect(kernelProblems(found).join('; ')).toContain(problem);
});

// the null backend offers the feature, checks shaders and pipelines, and runs nothing
const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
let device: GPUDevice;
/** Its largest subgroup, of which workgroups have to be multiples. */
let lanes: number;
beforeAll(async () => {
  const adapter = (await gpu.requestAdapter()) as GPUAdapter;
  lanes = Number(adapter.info.subgroupMaxSize);
  device = await adapter.requestDevice({ requiredFeatures: ['subgroups', 'shader-f16', MATRIX_FEATURE] as unknown as GPUFeatureName[] });
});
afterAll(() => device.destroy());

async function expectTaken(name: string, code: string): Promise<void> {
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  expect(messages.map(({ lineNum, message }) => `${name}:${lineNum}: ${message}\n${code}`)).toEqual([]);
  await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
}

it('prints WGSL that Dawn takes without a word', async () => {
  const kernels = Object.values(matrixSchedules(lanes)).flatMap((schedule) => [
    ...LAYOUTS.flatMap((layout) => matmulKernels(matmulSpec(layout, { batch: 'B', m: 'M', n: 20, k: 'K' }), schedule)),
    ...matmulKernels(severalSpec('joint', { m: 64, n: 64, k: 64, k2: 64 }), schedule),
    ...matmulKernels(severalSpec('sum', { m: 'M', n: 7, k: 12, k2: 5 }), schedule),
  ]);
  for (const checked of kernels) {
    expect(kernelProblems(checked)).toEqual([]);
    await expectTaken(checked.name, moduleOf(WGSL, checked));
  }
});

it.each<TinyOptions>([{ dtype: 'q4_0', lora: true }, { kind: 'gpt2' }])(
  'takes them with what a model fuses into them, and says what they require: %j',
  async (options) => {
    const shapes = [{ m: 16, n: 16, k: 16, input: 'f16', lanes: lanes / 4 }] as const;
    const traits = { kind: 'nvidia', subgroups: false, subgroupSize: null, maxInvocations: 256, maxWorkgroupStorage: 16384 } as const;
    const model = tinyModel({ hiddenSize: 64, headDim: 16, intermediateSize: 96, vocabSize: 100, ...options, dims: { B: 2, T: 64 } });
    const compiled = (matmulPrecision: 'f32' | 'f16') =>
      compileModel(model, { device: { traits: { ...traits, matrices: { shapes, multiple: lanes } }, maxBuffers: 8, matmulPrecision } }).program.pipelines;
    const using = compiled('f16').filter(({ features }) => features.includes(MATRIX_FEATURE));
    expect(using.length).toBeGreaterThan(8);
    for (const { name, code, features } of using) {
      expect(features).toContain('shader-f16');
      await expectTaken(name, code);
    }
    // nothing asked for: no matrices, and kernels that keep to WebGPU's default limits
    for (const { name, code, features } of compiled('f32')) {
      expect(features).toEqual([]);
      await expectTaken(name, code);
    }
  },
);

/** @file Matmul kernels on the interpreter against plain loops, and the WGSL of one. */

import fc from 'fast-check';
import { roundF16 } from '../../src/codegen/kernel/interpret/arithmetic.ts';
import { register } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import type { MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { standardMatmul } from '../../src/codegen/kernel/matmul/standard.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';
import { expectClose } from '../support/close.ts';
import { interpretRun } from '../support/interpretRun.ts';
import { LAYOUTS, MATMUL_SHAPES, MORE_SCHEDULES, matmulSchedules, matrixSchedules } from '../support/kernelCases.ts';
import {
  inputOf,
  type Layout,
  matmulData,
  matmulKernel,
  matmulKernels,
  matmulReference,
  matmulSpec,
  partialSums,
  type SpecOn,
  severalCase,
  severalSpec,
  singleWork,
} from '../support/matmulCase.ts';
import type { Data, KernelRun } from '../support/runKernel.ts';

type Shape = readonly [number, number, number, number];
const SUBGROUP = 4;

/** What the kernels of a matmul write whose results have `elements` in all. */
function runMatmul(spec: SpecOn, schedule: MatmulSchedule, elements: number, { buffers, ...input }: KernelRun): Record<string, Data> {
  let all: KernelRun['buffers'] = { ...buffers, partial_sums: partialSums(schedule, elements) };
  let written: Record<string, Data> = {};
  for (const kernel of matmulKernels(spec, schedule)) {
    written = interpretRun(kernel, { ...input, buffers: all }, SUBGROUP);
    all = { ...all, ...written };
  }
  return written;
}

function expectMatmul(layout: Layout, shape: Shape, schedule: MatmulSchedule, symbols: string): void {
  const [batch, m, n, k] = shape;
  const size = (symbol: string, value: number): number | string => (symbols.includes(symbol) ? symbol : value);
  const spec = matmulSpec(layout, { batch: size('B', batch), m: size('M', m), n: size('N', n), k: size('K', k) });
  const data = matmulData(shape);
  // what the operands lose is lost before the reference sees them: only sums may differ
  if (inputOf(schedule) === 'f16') for (const operand of [data.a, data.b]) operand.forEach((x, i) => void (operand[i] = roundF16(x)));
  const got = runMatmul(spec, schedule, data.out.length, {
    params: Uint32Array.from(shape),
    dims: { B: batch, M: m, N: n, K: k },
    buffers: { ...data, out: data.out.fill(77) },
  });
  expectClose(got['out'] as Float32Array, matmulReference(layout, data.a, data.b, shape), 1e-5, `${layout} ${shape} ${symbols}`);
}

const SCHEDULES = Object.entries({ ...matmulSchedules(SUBGROUP), ...MORE_SCHEDULES, ...matrixSchedules(SUBGROUP) });

describe.each(SCHEDULES)('matmul, %s', (_name, schedule) => {
  it.each(LAYOUTS)('%s multiplies every shape, sizes fixed', (layout) => {
    for (const shape of MATMUL_SHAPES) expectMatmul(layout, shape, schedule, '');
  });
  it('multiplies with sizes known only at run time', () => {
    for (const layout of LAYOUTS) expectMatmul(layout, [2, 5, 8, 7], schedule, 'BM');
    expectMatmul('TN', [1, 8, 12, 9], schedule, 'K');
    expectMatmul('NT', [1, 3, 6, 8], schedule, 'BMNK');
  });
  it('multiplies random shapes', () => {
    const size = fc.integer({ min: 1, max: 18 });
    fc.assert(
      fc.property(fc.constantFrom(...LAYOUTS), size, size, size, fc.subarray(['M', 'N', 'K']), (layout, m, n, k, symbols) =>
        expectMatmul(layout, [1, m, n, k], schedule, symbols.join('')),
      ),
      { numRuns: 12 },
    );
  });
});

describe.each(SCHEDULES)('several products, %s', (_name, schedule) => {
  it.each(['joint', 'sum'] as const)('%s', (kind) => {
    const size = fc.integer({ min: 1, max: 14 });
    fc.assert(
      fc.property(size, size, size, size, fc.boolean(), (m, n, k, k2, symbolic) => {
        const { buffers, expected } = severalCase(kind, [m, n, k, k2], 1, inputOf(schedule) === 'f16' ? roundF16 : undefined);
        const spec = severalSpec(kind, { m: symbolic ? 'M' : m, n, k, k2 });
        const got = runMatmul(spec, schedule, 2 * m * n, { params: Uint32Array.from([1, m, n, k]), dims: { M: m }, buffers: buffers as KernelRun['buffers'] });
        for (const [name, wanted] of Object.entries(expected)) expectClose(got[name] as Float32Array, wanted, 1e-5, `${kind} ${[m, n, k, k2]} ${name}`);
      }),
      {
        numRuns: 15,
        examples: [
          [8, 8, 8, 8, false],
          [5, 8, 12, 4, true],
        ],
      },
    );
  });
});

it('gives a result of zeros when k is zero at run time', () => {
  const kernel = matmulKernel(matmulSpec('TN', { batch: 1, m: 4, n: 4, k: 'K' }), matmulSchedules(null)['register, uniform A']!);
  const got = interpretRun(kernel, {
    params: Uint32Array.from([1, 4, 4, 0]),
    buffers: { a: new Float32Array(4), b: new Float32Array(4), out: new Float32Array(16).fill(7) },
  });
  expect(got['out']).toEqual(new Float32Array(16));
});

it('refuses columns that would race on a vec4 result', () => {
  const schedule = { ...matmulSchedules(null)['register, uniform A']!, cols: 2 };
  expect(() => matmulKernel(matmulSpec('NN', { batch: 1, m: 4, n: 4, k: 4 }), schedule)).toThrow('multiple of 4 rows or columns');
});

it.each(['nvidia', 'apple', 'amd', 'intel', 'lavapipe', 'swiftshader', 'other'] as const)('the default schedules for %s are valid and right', (kind) => {
  const subgroupSize = kind === 'lavapipe' || kind === 'swiftshader' ? SUBGROUP : null;
  const device = { kind, subgroups: true, subgroupSize, maxInvocations: 256, maxWorkgroupStorage: 16384 };
  for (const sizes of [
    [1, 1536, 576],
    [8, 576, 512],
    [512, 8, 576],
    [512, 576, 8],
    [512, 512, 512],
    [4096, 4096, 512],
    [64, 64, 64],
    [3, 5, 7],
  ] as const) {
    const [m, n, k] = sizes;
    for (const layout of LAYOUTS) {
      const schedule = { ...standardMatmul(device, singleWork(layout, sizes)), kGroups: 1 };
      // the schedule of the large size, run on a small one
      expectMatmul(layout, [1, Math.min(m, 5), Math.min(n, 12), Math.min(k, 9)], schedule, 'M');
    }
  }
});

it('prints a store of each result once where they leave in a loop', () => {
  const schedule = register({ lanes: [2, 1], rows: 16, cols: 4, depth: 4, inTurn: true });
  const stores = (storeLoop: boolean): number =>
    [...moduleOf(WGSL, matmulKernel(severalSpec('joint', { m: 'M', n: 8, k: 8, k2: 8 }), { ...schedule, storeLoop })).matchAll(/^ *(out|other)\[.*\] =/gm)]
      .length;
  expect([stores(true), stores(false)]).toEqual([2, 32]);
});

it('prints the same readable WGSL', () => {
  const spec = matmulSpec('NT', { batch: 1, m: 'M', n: 8, k: 8 });
  const schedule = register({ lanes: [2, 1], rows: 2, cols: 4, depth: 4 });
  const kernel = matmulKernel(spec, schedule, 'matmul_NT');
  expect(moduleOf(WGSL, kernel)).toBe(moduleOf(WGSL, matmulKernel(spec, schedule, 'matmul_NT')));
  expect(moduleOf(WGSL, kernel)).toMatchSnapshot();
});

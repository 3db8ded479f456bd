/** @file Matmul kernels on an adapter against plain loops. */

import fc from 'fast-check';
import { withinStorage } from '../../src/codegen/kernel/matmul/limits.ts';
import { matrixCandidates } from '../../src/codegen/kernel/matmul/matrix/schedule.ts';
import type { MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import { standardMatmul } from '../../src/codegen/kernel/matmul/standard.ts';
import { expectClose } from '../support/close.ts';
import { LAYOUTS, MATMUL_SHAPES, matmulSchedules } from '../support/kernelCases.ts';
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
import { type Data, type KernelRun, prepareKernel, runKernel } from '../support/runKernel.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

type Shape = readonly [number, number, number, number];
let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const TWO_PRODUCTS = { products: 2, operands: { a: 2, b: 2 }, perElement: 0 } as const;
/** Matrices too, where the device multiplies some: of f16 with operands rounded to it. */
function everySchedule({ traits }: TestDevice): MatmulSchedule[] {
  return [...Object.values(matmulSchedules(traits.subgroupSize)), ...matrixCandidates(traits, 'f16').map((s) => withinStorage(s, TWO_PRODUCTS, traits))];
}
const toleranceOf = (schedule: MatmulSchedule): number => (inputOf(schedule) === 'f16' ? 4e-3 : 2e-5);

/** What the kernels of a matmul write whose results have `elements` in all. */
async function runMatmul(spec: SpecOn, schedule: MatmulSchedule, elements: number, { buffers, ...input }: KernelRun): Promise<Record<string, Data>> {
  let all: KernelRun['buffers'] = { ...buffers, partial_sums: partialSums(schedule, elements) };
  let written: Record<string, Data> = {};
  for (const kernel of matmulKernels(spec, schedule)) {
    written = await runKernel(opened.device, kernel, { ...input, buffers: all });
    all = { ...all, ...written };
  }
  return written;
}

async function expectMatmul(layout: Layout, shape: Shape, schedule: MatmulSchedule, symbolic: boolean): Promise<void> {
  const [batch, m, n, k] = shape;
  const spec = matmulSpec(layout, { batch, m: symbolic ? 'M' : m, n, k });
  const data = matmulData(shape);
  const run = { params: Uint32Array.from(shape), dims: { M: m }, buffers: { ...data, out: data.out.fill(77) } };
  const got = await runMatmul(spec, schedule, data.out.length, run);
  expectClose(got['out'] as Float32Array, matmulReference(layout, data.a, data.b, shape), toleranceOf(schedule), `${layout} ${shape}`);
}

it.each(LAYOUTS)(
  '%s multiplies with every schedule',
  async (layout) => {
    const shapes = MATMUL_SHAPES.slice(1);
    // every schedule on another shape in every layout: drivers take most of the time to compile
    for (const [index, schedule] of everySchedule(opened).entries()) {
      await expectMatmul(layout, shapes[(index + 2 * LAYOUTS.indexOf(layout)) % shapes.length] as Shape, schedule, false);
    }
  },
  120_000,
);

it.each(LAYOUTS)(
  '%s multiplies with the default schedule of this device',
  async (layout) => {
    for (const [m, n, k] of [
      [33, 40, 36],
      [1, 24, 16],
      [50, 8, 20],
    ].filter((_, i) => i === 0 || i === LAYOUTS.indexOf(layout)) as [number, number, number][]) {
      const schedule = { ...standardMatmul(opened.traits, singleWork(layout, [m, n, k])), kGroups: 1 };
      await expectMatmul(layout, [1, m, n, k], schedule, true);
    }
  },
  120_000,
);

it.each(['joint', 'sum'] as const)(
  'several products of one kernel, %s, with every schedule',
  async (kind) => {
    const shapes = [
      [8, 16, 12, 8],
      [13, 20, 9, 5],
      [6, 7, 8, 12],
    ] as const;
    for (const [index, schedule] of everySchedule(opened).entries()) {
      const shape = shapes[(index + (kind === 'sum' ? 1 : 0)) % shapes.length] as (typeof shapes)[number];
      const [m, n, k, k2] = shape;
      const { buffers, expected } = severalCase(kind, shape);
      const input = { params: Uint32Array.from([1, m, n, k]), buffers: buffers as Record<string, Float32Array> };
      const got = await runMatmul(severalSpec(kind, { m, n, k, k2 }), schedule, 2 * m * n, input);
      for (const [name, wanted] of Object.entries(expected)) expectClose(got[name] as Float32Array, wanted, toleranceOf(schedule), `${kind} ${shape} ${name}`);
    }
  },
  120_000,
);

it('multiplies random shapes of a run-time size with one pipeline', async () => {
  const schedule = { ...standardMatmul(opened.traits, singleWork('NT', [64, 20, 24])), kGroups: 1 };
  const kernel = matmulKernel(matmulSpec('NT', { batch: 1, m: 'M', n: 20, k: 24 }), schedule);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 1000 }), async (m, seed) => {
      const shape: Shape = [1, m, 20, 24];
      const data = matmulData(shape, seed);
      const prepared = await prepareKernel(opened.device, kernel, {
        params: Uint32Array.from(shape),
        dims: { M: m },
        buffers: data,
      });
      await prepared.dispatch();
      const out = (await prepared.read())['out'] as Float32Array;
      prepared.destroy();
      expectClose(out, matmulReference('NT', data.a, data.b, shape), 2e-5, `m = ${m}`);
    }),
    { numRuns: 8 },
  );
});

/** @file Reports of models in which several calls read a value: the sums of its cotangents are counted. */

import { pageData } from '../../src/inspect/html.ts';
import { patternOf } from '../../src/inspect/patterns.ts';
import { inspectionLinker, QUANTITIES, variantReport } from '../../src/inspect/report.ts';
import { inspect } from '../../src/inspect/stages.ts';
import { param, section, unit } from '../../src/trace/context.ts';
import { add, crossEntropy, embedding, linear, relu } from '../../src/trace/nn.ts';
import { traceModel } from '../../src/trace/trace.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

const SIZES = { B: 2, T: 5 };
const skipping = traceModel(
  {
    inputs: { tokens: { dtype: 'i32', shape: ['B', 'T'] }, targets: { dtype: 'i32', shape: ['B', 'T'] } },
    build: ({ tokens, targets }) => {
      const x = section('embed', () => embedding(param('embed', [11, 8]), tokens!));
      const y = unit('down', x, (h) => relu(linear('down', h, { inputs: 8, outputs: 8 })));
      const z = unit('up', y, (h) => relu(linear('up', h, { inputs: 8, outputs: 8 })));
      return section('head', () => crossEntropy(linear('head', add(z, x), { inputs: 8, outputs: 11 }), targets!));
    },
  },
  { dims: SIZES },
);
const inspected = inspect(skipping, CPU_DEVICE);
const { program } = inspected.compiled;

it('counts sums of cotangents in dispatches and bytes, not in FLOPs, as a step does', () => {
  const variant = inspectionLinker(program).link(patternOf([]));
  const report = variantReport(program, variant, { dropped: [], remat: [], skipped: [] }, SIZES);
  const [sum, ...more] = report.calls.filter((c) => c.phase === 'sum');
  expect(more).toEqual([]);
  // two tensors f32[2,5,8], whose 80 elements are rounded up to an offset at which a buffer may be bound
  expect(sum).toMatchObject({ function: 'accumulate', dispatches: 1, bytes: 2 * 4 * 128, flops: 128 });
  for (const key of QUANTITIES) expect(report[key]).toBeGreaterThan(0);
  const own = report.calls.filter((c) => c.phase === 'backward').reduce((n, c) => n + c.flops, 0);
  expect(report.backwardFlops).toBe(own);
});

it('gives the page a graph for each function that a call runs, and none for the others', async () => {
  const data = await pageData(inspected, 'skipping', SIZES, patternOf(['up']));
  expect(data.pattern).toEqual({ up: 'dropped' });
  data.functions.forEach((view, i) => {
    const fn = program.functions[i]!;
    const isUpdate = Object.values(program.updates).includes(i);
    expect({ name: fn.name, none: view === null }).toEqual({ name: fn.name, none: isUpdate });
    expect(view?.nodes.filter((n) => n.kind === 'kernel').length ?? fn.dispatches.length).toBe(fn.dispatches.length);
    for (const edge of view?.edges ?? []) expect(edge.points.length).toBeGreaterThan(1);
  });
  expect(data.operands).toHaveLength(program.calls.length);
  expect(data.operands.at(-1)).toEqual(expect.arrayContaining(['head.weight']));
});

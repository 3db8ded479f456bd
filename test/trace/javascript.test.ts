/** @file Definitions in plain JavaScript, which no type checker reads: what TypeScript would refuse is refused while the model is traced. */

import { defineModel, linear, mean, mul, traceModel } from '../../src/index.ts';
import { TraceError } from '../../src/trace/error.ts';

/** What is refused. @throws Error where nothing is */
function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof TraceError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Traces a build function as JavaScript has it: without types. */
const traced = (build: (x: never) => unknown): (() => unknown) => {
  const definition = defineModel({ inputs: { x: { dtype: 'f32', shape: ['B', 8] } }, build: ({ x }) => build(x as never) as typeof x });
  return () => traceModel(definition, { dims: { B: 2 } });
};

it.each([
  ['t * 2', (x: never) => mul(x, (x as number) * 2)],
  ['-t', (x: never) => mul(x, -(x as number))],
  ['t + u', (x: never) => mean(((x as number) + (mul(x, 2) as unknown as number)) as never)],
  ['t > 0', (x: never) => ((x as number) > 0 ? x : mul(x, 2))],
])('%s on a traced tensor is refused, with the functions to use', (_, build) => {
  expect(messageOf(traced(build))).toMatch(
    /^javascript\.test\.ts:\d+:\d+: an operator .* tensor \(f32\[B,8\]\), which has no numbers yet; use add\(\), sub\(\)/,
  );
});

it('a tensor in a text is refused', () => {
  expect(messageOf(traced((x) => linear(`layer.${x}`, x, { inputs: 8, outputs: 1 })))).toMatch(/a traced tensor \(f32\[B,8\]\) is used as text/);
});

it('an option that a layer does not know is refused, with the one that was meant', () => {
  const options = { inputs: 8, outputs: 1, biased: true };
  expect(messageOf(traced((x) => linear('head', x, options)))).toMatch(
    /linear head: unknown option biased \(did you mean bias\?\); it takes inputs, outputs, bias, layout, init$/,
  );
});

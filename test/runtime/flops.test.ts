/** @file FLOPs of compiled programs at any sizes of any run-time dimension, against counting the ops of each function one by one. */

import fc from 'fast-check';
import { compileModel } from '../../src/compile/compile.ts';
import { formsOfCalls } from '../../src/runtime/link/forms.ts';
import { functionFlops } from '../../src/runtime/program.ts';
import { sizesKeeper } from '../../src/runtime/stepParts.ts';
import { param, section, unit } from '../../src/trace/context.ts';
import { add, attention, crossEntropy, embedding, linear, reshape, rmsNorm, type Tensor } from '../../src/trace/nn.ts';
import { type TracedModel, traceModel } from '../../src/trace/trace.ts';
import { unitCosts } from '../../src/train/costs.ts';
import { countFlops } from '../support/countFlops.ts';
import { CPU_DEVICE, tinyModel } from '../support/tinyModels.ts';

const WIDTH = 8;
const HEADS = 2;
const i32 = (...shape: string[]) => ({ dtype: 'i32', shape }) as const;

/** Tokens that attend to the last four of them, then, without causality and within a window, to a memory of its own length. */
const remembering = traceModel(
  {
    inputs: {
      tokens: i32('B', 'T'),
      targets: i32('B', 'T'),
      segments: i32('B', 'T'),
      memory: { dtype: 'f32', shape: ['B', 'S', WIDTH] },
      memory_segments: i32('B', 'S'),
    },
    build: (inputs) => {
      const { tokens, targets, segments, memory, memory_segments: remembered } = inputs as Record<string, Tensor> & typeof inputs;
      const norm = (name: string, x: Tensor): Tensor => rmsNorm(x, param(`${name}.norm`, [WIDTH], { init: { kind: 'constant', value: 1 } }), 1e-5);
      const heads = (name: string, x: Tensor): Tensor => {
        const [batch = 1, length = 1] = x.type.shape;
        return reshape(linear(name, x, { inputs: WIDTH, outputs: WIDTH }), [batch, length, HEADS, WIDTH / HEADS]);
      };
      const merged = (o: Tensor): Tensor => reshape(o, ['B', 'T', WIDTH]);
      const x = section('embed', () => embedding(param('embed', [11, WIDTH]), tokens!));
      const y = unit('self', x, (h) => {
        const n = norm('self', h);
        const [q, k, v] = ['q', 'k', 'v'].map((part) => heads(`self.${part}`, n)) as [Tensor, Tensor, Tensor];
        return merged(attention(q, k, v, { scale: 0.5, causal: true, window: 4, segments: [segments!, segments!] }));
      });
      const z = unit('cross', y, (h) => {
        const [k, v] = ['k', 'v'].map((part) => heads(`cross.${part}`, memory!)) as [Tensor, Tensor];
        const q = heads('cross.q', norm('cross', h));
        return merged(attention(q, k, v, { scale: 0.5, causal: false, window: 3, segments: [segments!, remembered!] }));
      });
      return section('head', () => crossEntropy(linear('head', add(z, x), { inputs: WIDTH, outputs: 11 }), targets!));
    },
  },
  { dims: { B: 2, T: 4, S: 3 } },
);

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const SIZES = fc.record({ B: size(3), T: size(9), S: size(9), N: size(5), Q: size(5), G: size(3) });

const deviceOf = (kind: 'lavapipe' | 'nvidia') => ({ ...CPU_DEVICE, traits: { ...CPU_DEVICE.traits, kind } });
const MODELS: Readonly<Record<string, () => TracedModel>> = {
  'windows and a third dimension': () => remembering,
  'llama, adapters with dropout': () => tinyModel({ lora: { dropout: 0.1 } }),
  'gpt2, generation with a cache': () => tinyModel({ kind: 'gpt2', mode: 'generation' }),
};

describe.each(Object.entries(MODELS))('%s', (_name, model) => {
  // a GPU's kernels turn gradients back themselves
  it.each(['lavapipe', 'nvidia'] as const)('%s: every function', (kind) => {
    const { program, stages } = compileModel(model(), { device: deviceOf(kind) });
    fc.assert(
      fc.property(SIZES, (sizes) => {
        program.functions.forEach((fn, i) => {
          const counted = stages.fuse.funcs[i]!.ops.reduce((sum, op) => sum + countFlops(op, sizes), 0);
          expect({ fn: fn.name, flops: functionFlops(fn, sizes) }).toEqual({ fn: fn.name, flops: counted });
        });
      }),
      { numRuns: 12 },
    );
  });
});

it('what units cost to drop follows each dimension that they have', () => {
  const { program, stages } = compileModel(remembering, { device: CPU_DEVICE });
  const backwards = formsOfCalls(program, new Map(), false).filter(({ call }) => call.unit);
  fc.assert(
    fc.property(SIZES, (sizes) => {
      const counted = backwards.map(({ backward }) => stages.fuse.funcs[backward!.function]!.ops.reduce((sum, op) => sum + countFlops(op, sizes), 0));
      expect(unitCosts(program, sizes)).toEqual(counted);
    }),
    { numRuns: 12 },
  );
  const at = (sizes: object): number[] => unitCosts(program, { B: 2, T: 512, S: 64, ...sizes });
  const [self, cross] = at({}) as [number, number];
  // a longer memory costs the branch that reads it, and no other
  expect(at({ S: 128 })[0]).toBe(self);
  expect(at({ S: 128 })[1]).toBeGreaterThan(cross);
  // four keys a query: twice the tokens cost twice as much, and not four times
  expect(at({ T: 1024 })[0]! / self).toBeCloseTo(2, 2);
});

it('a size that is not given is an error, not 1', () => {
  const { program } = compileModel(remembering, { device: CPU_DEVICE });
  const cross = program.functions.find((f) => f.name.startsWith('cross'))!;
  expect(() => functionFlops(cross, { B: 1, T: 1 })).toThrow('dimension S has no size');
});

it('sizes are one object for as long as they are equal, and new where the caller changed its own', () => {
  const same = sizesKeeper(compileModel(remembering, { device: CPU_DEVICE }).program);
  const given = { B: 1, T: 8, S: 4 };
  const first = same(given);
  expect(same({ ...given })).toBe(first);
  given.T = 4;
  expect(same(given)).toEqual({ B: 1, T: 4, S: 4 });
  expect(first).toEqual({ B: 1, T: 8, S: 4 });
});

/** @file FLOPs of every op as terms, against counting them one by one at random sizes. */

import fc from 'fast-check';
import { costAt } from '../../src/cost.ts';
import { funcBuilder } from '../../src/ir/builder.ts';
import { opCost, opFlops } from '../../src/ir/cost.ts';
import { makeOp, type OpDef, type Sample } from '../../src/ir/define.ts';
import { allOps, registerOp } from '../../src/ir/ops/index.ts';
import type { Attrs, Dim, DimSizes, Op, Type } from '../../src/ir/types.ts';
import { countFlops, evaluatedMask, visibleByRule } from '../support/countFlops.ts';

const NAMES = ['B', 'T', 'S', 'L'];
const size = fc.integer({ min: 1, max: 6 });
const SIZES = fc.record({ B: size, T: size, S: size, L: size });

function opOf(name: string, types: readonly Type[], attrs: Attrs = {}): Op {
  const b = funcBuilder();
  b.ops(
    name,
    types.map((type, i) => b.param(`p${i}`, type, 'value')),
    attrs,
  );
  return b.added.at(-1)!;
}

/** Every size of a sample once, in the order of its shapes. */
const sizesOf = ({ types, attrs = {} }: Sample): number[] => {
  const { shape } = attrs;
  return [...new Set([...types.flatMap((t) => t.shape.map(Number)), ...(Array.isArray(shape) ? shape.map(Number) : [])])];
};

/** A sample with other sizes, and names of run-time dimensions for some: each size of it is replaced everywhere, unless the op then refuses it. */
function replaced(def: OpDef, sample: Sample, dims: readonly Dim[]): Op {
  const put = ({ types, attrs = {} }: Sample, chosen: ReadonlyMap<number, Dim>): Sample => {
    const other = (dim: Dim): Dim => chosen.get(Number(dim)) ?? dim;
    const { shape } = attrs;
    return {
      types: types.map((t) => ({ ...t, shape: t.shape.map(other) })),
      attrs: Array.isArray(shape) ? { ...attrs, shape: shape.map((d: string) => String(other(d))) } : attrs,
    };
  };
  let chosen = new Map<number, Dim>();
  sizesOf(sample).forEach((n, i) => {
    const more = new Map([...chosen, [n, dims[i % dims.length]!]]);
    try {
      const { types, attrs = {} } = put(sample, more);
      def.infer(types, attrs);
      chosen = more;
    } catch {
      // this size has to stay a number, or that number
    }
  });
  const { types, attrs } = put(sample, chosen);
  return opOf(def.name, types, attrs);
}

const named = (op: Op): boolean => op.operands.some((v) => v.type.shape.some((d) => typeof d === 'string'));

describe('FLOPs of every op are those that are counted one by one', () => {
  const dims = fc.array(fc.oneof(fc.constantFrom(...NAMES), fc.integer({ min: 1, max: 6 })), { minLength: 4, maxLength: 4 });
  for (const def of allOps().filter((d) => d.samples.length > 0))
    it(def.name, () => {
      const seen = { named: 0, static: 0 };
      fc.assert(
        fc.property(fc.constantFrom(...def.samples), dims, SIZES, (sample, chosen, sizes) => {
          const op = replaced(def, sample, chosen);
          seen[named(op) ? 'named' : 'static']++;
          expect(opFlops(op, sizes)).toBe(countFlops(op, sizes));
        }),
        { numRuns: 60 },
      );
      // some have no operand with a size, what is reshaped keeps its own, and attention's samples have one number in several places: see below
      if (!/^(constant|iota|random|reshape|attention.*)$/.test(def.name)) expect(seen.named).toBeGreaterThan(5);
    });
});

describe('attention', () => {
  const dim = (least: number): fc.Arbitrary<Dim> => fc.oneof(fc.constantFrom(...NAMES), fc.integer({ min: least, max: 14 }));
  const long = fc.integer({ min: 1, max: 14 });
  const CASES = fc.record({
    batch: dim(1),
    tokens: dim(1),
    keys: fc.option(dim(1), { nil: null }),
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 3 }),
    pairs: fc.integer({ min: 1, max: 2 }),
    causal: fc.boolean(),
    window: fc.option(fc.integer({ min: 1, max: 16 }), { nil: undefined }),
    rotated: fc.boolean(),
  });
  const LONG_SIZES = fc.record({ B: fc.integer({ min: 1, max: 3 }), T: long, S: long, L: long });
  const f = (...shape: Dim[]): Type => ({ dtype: 'f32', shape });
  const i = (...shape: Dim[]): Type => ({ dtype: 'i32', shape });

  /** Forward and both gradients. `keys` null: those of the queries, in the same segments. */
  function opsOf(c: { batch: Dim; tokens: Dim; keys: Dim | null; heads: number; kvHeads: number; width: number; rotated: boolean; attrs: Attrs }): Op[] {
    const keys = c.keys ?? c.tokens;
    const [q, k] = [f(c.batch, c.tokens, c.heads, c.width), f(c.batch, keys, c.kvHeads, c.width)];
    const stats = f(c.batch, c.heads, c.tokens, 3);
    const gradient = [q, k, k, i(), q, stats, ...(c.keys === null ? [] : [i(c.batch, keys)]), ...(c.rotated ? [f(40, c.width)] : [])];
    const attrs = { ...c.attrs, ...(c.keys === null ? {} : { key_segments: true }), ...(c.rotated ? { rotated: true } : {}) };
    return [
      opOf('attention', [q, k, k, i(c.batch, c.tokens), i(c.batch, keys), i()], c.attrs),
      ...['attention_dq', 'attention_dkv'].map((name) => opOf(name, gradient, attrs)),
    ];
  }

  it('and its gradients count the pairs that can be visible', () => {
    fc.assert(
      fc.property(CASES, LONG_SIZES, ({ group, pairs, causal, window, ...c }, sizes) => {
        const attrs: Attrs = { scale: 1, causal, ...(window === undefined ? {} : { window }) };
        const sizeOf = (d: Dim): number => (typeof d === 'number' ? d : sizes[d as keyof typeof sizes]);
        const visible = visibleByRule({ tokens: sizeOf(c.tokens), keys: sizeOf(c.keys ?? c.tokens), causal, window });
        for (const op of opsOf({ ...c, heads: c.kvHeads * group, width: 2 * pairs, attrs })) {
          const types = op.operands.map(({ type }) => ({ ...type, shape: type.shape.map(sizeOf) }));
          const mask = evaluatedMask(op.name, types, op.attrs);
          expect(mask.data.reduce((a, b) => a + b, 0)).toBe(visible * mask.shape[0]! * mask.shape[1]!);
          expect(opFlops(op, sizes)).toBe(countFlops(op, sizes));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('counts pairs at sizes larger than it evaluates', () => {
    const many = fc.integer({ min: 1, max: 300 });
    const sight = fc.record({ tokens: many, keys: many, causal: fc.boolean(), window: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }) });
    const shape = fc.constantFrom<readonly [Dim | null, Dim | null]>([null, null], ['T', null], [null, 'S'], ['T', 'S']);
    fc.assert(
      fc.property(sight, shape, (at, [tokens, keys]) => {
        const attrs: Attrs = { scale: 1, causal: at.causal, ...(at.window === undefined ? {} : { window: at.window }) };
        const [forward] = opsOf({ batch: 'B', tokens: tokens ?? at.tokens, keys: keys ?? at.keys, heads: 3, kvHeads: 1, width: 5, rotated: false, attrs });
        expect(opFlops(forward!, { B: 2, T: at.tokens, S: at.keys })).toBe(2 * 3 * 5 * 4 * visibleByRule(at));
      }),
    );
  });

  it('with a window of 64 over 1024 tokens counts 63520 pairs; the square was counted as 524800, 8.3 times as much', () => {
    const flops = (attrs: Attrs): number => {
      const [forward] = opsOf({ batch: 'B', tokens: 'T', keys: null, heads: 4, kvHeads: 4, width: 8, rotated: false, attrs: { scale: 1, ...attrs } });
      return opFlops(forward!, { B: 3, T: 1024 }) / (4 * 3 * 4 * 8);
    };
    expect(flops({ causal: true, window: 64 })).toBe((64 * 65) / 2 + (1024 - 64) * 64);
    expect(flops({ causal: true })).toBe((1024 * 1025) / 2);
    // every query sees all that follow it, and 64 with itself before
    expect(flops({ causal: false, window: 64 })).toBe((1024 * 1023) / 2 + 63520);
    expect(flops({ causal: false })).toBe(1024 * 1024);
  });
});

it('a call has no FLOPs of its own, and a number for terms is refused by name', () => {
  expect(opCost({ name: 'call', operands: [], attrs: {}, results: [] })).toEqual([]);
  const noKernel = (): never => {
    throw new Error('no kernel is made of it');
  };
  const made = { kind: 'pointwise', operands: { x: 'f32' }, infer: ({ x }: { readonly x: Type }) => x, element: noKernel, samples: [] } as const;
  registerOp({ ...makeOp({ ...made, name: 'counted_in_numbers' }), flops: (() => 7) as unknown as NonNullable<OpDef['flops']> });
  const call = opOf('counted_in_numbers', [{ dtype: 'f32', shape: ['B'] }]);
  expect(() => opCost(call)).toThrow('counted_in_numbers: flops must be a list of terms { times, of }, found 7');
  registerOp(makeOp({ ...made, name: 'counted_in_nothing' }));
  expect(() => opCost(opOf('counted_in_nothing', [{ dtype: 'f32', shape: ['B'] }]))).toThrow('counted_in_nothing: has neither flops nor a decomposition');
  const sizes: DimSizes = { B: 2 };
  expect(() => costAt([{ times: 1, of: ['B', 'S'] }], sizes)).toThrow('dimension S has no size');
});

/** @file Plain matmul specs over f32 buffers `a`, `b`, `out` in any layout, and their reference in f64. */

import type { KernelBuilder } from '../../src/codegen/kernel/builder.ts';
import { add, component, div, mul, param, rem, u32 } from '../../src/codegen/kernel/expr.ts';
import type { Expr, Kernel } from '../../src/codegen/kernel/ir.ts';
import { matmul, matmulBuilder } from '../../src/codegen/kernel/matmul/matmul.ts';
import { addingBuilder, addPartials, partialMatmul } from '../../src/codegen/kernel/matmul/partial.ts';
import type { MatmulSchedule } from '../../src/codegen/kernel/matmul/schedule.ts';
import type { MatmulLoop, MatmulPort, MatmulProduct, MatmulSpec, MatmulStore } from '../../src/codegen/kernel/matmul/spec.ts';
import { type MatmulWork, SINGLE } from '../../src/codegen/kernel/matmul/work.ts';
import { withoutIdleBuffers } from '../../src/codegen/kernel/rewrite/tidy.ts';
import { type Size, sizeExpr, staticSize } from '../../src/codegen/kernel/size.ts';

export type Layout = 'NN' | 'NT' | 'TN' | 'TT';

/** Symbols' words in the uniform block. */
const SYMBOLS = ['B', 'M', 'N', 'K'];
const dim = (symbol: string): Expr => param(SYMBOLS.indexOf(symbol), symbol);

function port(b: KernelBuilder, name: string, rows: Size, cols: Size, rowIs: 'k' | 'mn'): MatmulPort {
  const wide = (staticSize(cols) ?? 1) % 4 === 0;
  const buffer = b.buffer(name, wide ? 'vec4f' : 'f32', 'read');
  return {
    vectorAxis: !wide ? null : rowIs === 'k' ? 'mn' : 'k',
    load({ batch, mn, k }, width) {
      const [row, col] = rowIs === 'k' ? [k, mn] : [mn, k];
      const flat = add(mul(add(mul(batch, sizeExpr(rows, dim)), row), sizeExpr(cols, dim)), col);
      if (!wide) return buffer.load(flat);
      const four = buffer.load(div(flat, u32(4)));
      return width === 4 ? four : component(four, rem(flat, u32(4)));
    },
  };
}

/** A spec whose ports are made on the kernel in progress that it is given. */
export type SpecOn = (b: KernelBuilder) => MatmulSpec;

/** N: row-major as written (a is [m, k], b is [k, n]); T: transposed. Sizes may be the symbols B, M, N, K. */
export function matmulSpec(layout: Layout, sizes: { batch: number | string; m: number | string; n: number | string; k: number | string }): SpecOn {
  const size = (of: number | string): Size => ({ of: [of] });
  const [batch, m, n, k] = [size(sizes.batch), size(sizes.m), size(sizes.n), size(sizes.k)];
  return (b) => {
    const product: MatmulProduct = {
      a: layout[0] === 'N' ? port(b, 'a', m, k, 'mn') : port(b, 'a', k, m, 'k'),
      b: layout[1] === 'N' ? port(b, 'b', k, n, 'k') : port(b, 'b', n, k, 'mn'),
      into: 0,
    };
    return { batch, m, n, results: 1, dim, loops: [{ k, products: [product] }], store: storeOf(b, m, n) };
  };
}

function storeOf(b: KernelBuilder, m: Size, n: Size): MatmulStore {
  const vectorN = (staticSize(n) ?? 1) % 4 === 0;
  const out = b.buffer('out', vectorN ? 'vec4f' : 'f32', 'read_write');
  return {
    vectorAxis: vectorN ? 'n' : null,
    store(at, [value = u32(0)], width) {
      if (vectorN !== (width === 4)) throw new Error('a store four wide exactly where it can be');
      const flat = add(mul(add(mul(at.batch, sizeExpr(m, dim)), at.m), sizeExpr(n, dim)), at.n);
      out.store(vectorN ? div(flat, u32(4)) : flat, value);
    },
  };
}

/** out[batch, m, n] in f64. */
export function matmulReference(layout: Layout, a: Float32Array, b: Float32Array, [batch, m, n, k]: readonly [number, number, number, number]): Float64Array {
  const out = new Float64Array(batch * m * n);
  for (let z = 0; z < batch; z++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let x = 0; x < k; x++) {
          const left = a[z * m * k + (layout[0] === 'N' ? i * k + x : x * m + i)] as number;
          const right = b[z * k * n + (layout[1] === 'N' ? x * n + j : j * k + x)] as number;
          sum += left * right;
        }
        out[(z * m + i) * n + j] = sum;
      }
    }
  }
  return out;
}

/** Inputs in [-0.5, 0.5) by a counter-based generator. */
export function matmulData([batch, m, n, k]: readonly [number, number, number, number], seed = 1): { a: Float32Array; b: Float32Array; out: Float32Array } {
  let state = seed >>> 0;
  const floats = (length: number): Float32Array =>
    Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32 - 0.5;
    });
  return { a: floats(batch * m * k), b: floats(batch * k * n), out: new Float32Array(batch * m * n) };
}

/** Buffers of `severalSpec`, f32, row-major: a [m, k], b and c [k, n], d [m, k2], e [n, k2] (transposed), out and other [m, n]. */
export type Several = 'joint' | 'sum';

/** `joint`: out = a·b and other = a·c, over one walk along k. `sum`: out = a·b + d·eᵀ, over two walks of different depth. */
export function severalSpec(kind: Several, { m, n, k, k2 }: { m: number | string; n: number; k: number; k2: number }): SpecOn {
  const size = (of: number | string): Size => ({ of: [of] });
  return (b) => {
    const a = port(b, 'a', size(m), size(k), 'mn');
    const right = port(b, 'b', size(k), size(n), 'k');
    const loops: MatmulLoop[] =
      kind === 'joint'
        ? [
            {
              k: size(k),
              products: [
                { a, b: right, into: 0 },
                { a, b: port(b, 'c', size(k), size(n), 'k'), into: 1 },
              ],
            },
          ]
        : [
            { k: size(k), products: [{ a, b: right, into: 0 }] },
            { k: size(k2), products: [{ a: port(b, 'd', size(m), size(k2), 'mn'), b: port(b, 'e', size(n), size(k2), 'mn'), into: 0 }] },
          ];
    const vectorN = n % 4 === 0;
    const results = kind === 'joint' ? ['out', 'other'] : ['out'];
    const buffers = results.map((name) => b.buffer(name, vectorN ? 'vec4f' : 'f32', 'read_write'));
    return {
      batch: { of: [1] },
      m: size(m),
      n: size(n),
      results: results.length,
      dim,
      loops,
      store: {
        vectorAxis: vectorN ? 'n' : null,
        store(at, values) {
          const flat = add(mul(at.m, u32(n)), at.n);
          buffers.forEach((buffer, i) => void buffer.store(vectorN ? div(flat, u32(4)) : flat, values[i] as Expr));
        },
      },
    };
  };
}

/** Inputs of `severalSpec`, and what it should compute. */
export function severalCase(kind: Several, [m, n, k, k2]: readonly [number, number, number, number], seed = 1, round = (x: number): number => x) {
  const data = (depth: number, own: number) => {
    const { a, b } = matmulData([1, m, n, depth], own);
    return { a: a.map(round), b: b.map(round) };
  };
  const [first, second, third] = [data(k, seed), data(k, seed + 1), data(k2, seed + 2)];
  const product = matmulReference('NN', first.a, first.b, [1, m, n, k]);
  const more = matmulReference('NT', third.a, third.b, [1, m, n, k2]);
  const outputs = { out: new Float32Array(m * n).fill(77), other: new Float32Array(m * n).fill(77) };
  return kind === 'joint'
    ? {
        buffers: { a: first.a, b: first.b, c: second.b, ...outputs },
        expected: { out: product, other: matmulReference('NN', first.a, second.b, [1, m, n, k]) },
      }
    : { buffers: { a: first.a, b: first.b, d: third.a, e: third.b, out: outputs.out }, expected: { out: product.map((x, i) => x + (more[i] as number)) } };
}

/** The kernel of a matmul in one piece. */
export function matmulKernel(spec: SpecOn, schedule: MatmulSchedule, name = 'matmul'): Kernel {
  const b = matmulBuilder(name, schedule);
  return matmul(b, spec(b), schedule);
}

/** The kernels of a matmul in the order they run: one, or with `kGroups` the partial sums and what adds them. */
export function matmulKernels(spec: SpecOn, schedule: MatmulSchedule): readonly Kernel[] {
  if (schedule.kGroups === 1) return [matmulKernel(spec, schedule)];
  const [first, second] = [matmulBuilder('matmul_partial', schedule), addingBuilder('matmul')];
  const kernels = [partialMatmul(first, spec(first), schedule), addPartials(second, spec(second), schedule.kGroups)];
  return kernels.map((kernel) => withoutIdleBuffers({ kernel, values: [] }).kernel);
}

/** The matrices' input of a schedule, where it has matrices. */
export const inputOf = (schedule: MatmulSchedule): 'f16' | 'f32' | undefined => ('matrix' in schedule ? schedule.matrix.input : undefined);

/** What a schedule of one kernel is chosen by: a matmul in a layout that does nothing else. */
export function singleWork(layout: Layout, [m, n, k]: readonly [number, number, number]): MatmulWork {
  return { sizes: { m, n, k }, layout: { a: layout[0] === 'N' ? 'k' : 'mn', b: layout[1] === 'N' ? 'mn' : 'k' }, load: SINGLE, precision: 'f32' };
}

/** Scratch for the partial sums of results of `elements` in all, full of something else. */
export function partialSums({ kGroups }: MatmulSchedule, elements: number): Float32Array {
  return new Float32Array(Math.ceil((kGroups * elements) / 4) * 4).fill(55);
}

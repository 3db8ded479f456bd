/** @file Plain matmul specs over f32 buffers `a`, `b`, `out` in any layout, and their reference in f64. */

import type { KernelBuilder } from '../../src/codegen/kernel/builder.ts';
import { add, component, div, mul, param, rem, u32 } from '../../src/codegen/kernel/expr.ts';
import type { Expr } from '../../src/codegen/kernel/ir.ts';
import type { MatmulPort, MatmulSpec } from '../../src/codegen/kernel/matmul.ts';
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
    load(_, { batch, mn, k }, width) {
      const [row, col] = rowIs === 'k' ? [k, mn] : [mn, k];
      const flat = add(mul(add(mul(batch, sizeExpr(rows, dim)), row), sizeExpr(cols, dim)), col);
      if (!wide) return buffer.load(flat);
      const four = buffer.load(div(flat, u32(4)));
      return width === 4 ? four : component(four, rem(flat, u32(4)));
    },
  };
}

/** N: row-major as written (a is [m, k], b is [k, n]); T: transposed. Sizes may be the symbols B, M, N, K. */
export function matmulSpec(layout: Layout, sizes: { batch: number | string; m: number | string; n: number | string; k: number | string }): MatmulSpec {
  const size = (of: number | string): Size => ({ of: [of] });
  const [batch, m, n, k] = [size(sizes.batch), size(sizes.m), size(sizes.n), size(sizes.k)];
  return {
    name: `matmul_${layout}`,
    batch,
    m,
    n,
    results: 1,
    dim,
    loops: [
      {
        k,
        products: [
          {
            a: (b) => (layout[0] === 'N' ? port(b, 'a', m, k, 'mn') : port(b, 'a', k, m, 'k')),
            b: (b) => (layout[1] === 'N' ? port(b, 'b', k, n, 'k') : port(b, 'b', n, k, 'mn')),
            into: 0,
          },
        ],
      },
    ],
    store: (b) => {
      const vectorN = (staticSize(n) ?? 1) % 4 === 0;
      const out = b.buffer('out', vectorN ? 'vec4f' : 'f32', 'read_write');
      return {
        vectorN,
        store(_, at, [value = u32(0)], width) {
          if (vectorN !== (width === 4)) throw new Error('a store four wide exactly where it can be');
          const flat = add(mul(add(mul(at.batch, sizeExpr(m, dim)), at.m), sizeExpr(n, dim)), at.n);
          out.store(vectorN ? div(flat, u32(4)) : flat, value);
        },
      };
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

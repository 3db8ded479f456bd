/** @file What the kernels of attention's gradients need of each query besides its row, side by side: one invocation a row. */

import { type KernelBuilder, kernelBuilder, ONE_GROUP } from '../builder.ts';
import { add, builtin, call, convert, div, f32, ge, hiddenBound, mul, rem, u32 } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import { sizeExpr } from '../size.ts';
import { input, output, rowType, rowUnits, STATS } from './frame.ts';
import type { AttentionSpec } from './spec.ts';

const LANES = 64;

/** Reads dout, out, lse (and segQ); writes stats. */
export function attentionStats(spec: AttentionSpec): Kernel {
  const b = kernelBuilder(spec.name, [LANES, 1, 1]);
  const queries = b.let('queries', sizeExpr(spec.dims.queries, spec.dim));
  const [dout, out, lse] = [input({ b }, 'dout', rowType(spec)), input({ b }, 'out', rowType(spec)), input({ b }, 'lse', 'f32')];
  const segQ = spec.segments === false ? null : input({ b }, 'segQ', 'i32');
  const stats = output({ b }, 'stats', 'f32');
  const row = b.let('row', add(mul(b.linearWorkgroup(), u32(LANES)), builtin('localX')));
  b.if(ge(row, mul(mul(sizeExpr(spec.dims.batch, spec.dim), queries), u32(spec.heads))), () => b.return());
  const start = b.let('start', mul(row, u32(rowUnits(spec))));
  const sum = sumOver(b, rowUnits(spec), (d) => [dout.load(add(start, d)), out.load(add(start, d))]);
  const head = rem(row, u32(spec.heads));
  const token = b.let('token', div(row, u32(spec.heads)));
  const at = b.let('at', add(mul(add(mul(div(token, queries), u32(spec.heads)), head), queries), rem(token, queries)));
  const of = b.let('of', mul(at, u32(STATS)));
  stats.store(of, lse.load(at));
  stats.store(add(of, u32(1)), sum);
  stats.store(add(of, u32(2)), segQ === null ? f32(0) : convert('f32', segQ.load(token)));
  return b.finish([{ of: [...spec.dims.batch.of, ...spec.dims.queries.of, spec.heads], per: LANES }, ONE_GROUP, ONE_GROUP]);
}

/** Σ of products over the units of a row. */
function sumOver(b: KernelBuilder, units: number, factors: (d: Expr) => readonly [Expr, Expr]): Expr {
  const sum = b.var('sum', 'f32', f32(0));
  b.for('d', u32(0), hiddenBound(units), u32(1), (d) => {
    const [left, right] = factors(d);
    sum.set(add(sum.get, left.type === 'f32' ? mul(left, right) : call('dot', left, right)));
  });
  return sum.get;
}

/** @file A matmul whose k axis several workgroups share: one kernel leaves partial sums in scratch, a second adds them in order and stores. */

import { type BufferRef, type KernelBuilder, kernelBuilder, ONE_GROUP } from '../builder.ts';
import { add, builtin, div, f32, lt, mul, rem, splat, u32 } from '../expr.ts';
import type { Expr, Kernel } from '../ir.ts';
import { dividesBy, sizeExpr } from '../size.ts';
import { matmul } from './matmul.ts';
import type { MatmulSchedule } from './schedule.ts';
import type { MatmulSpec, MatmulStore } from './spec.ts';

/** Invocations that a workgroup has in the kernel that adds. */
const ADDING_LANES = 64;

/** The element type of partial sums, [kGroups, batch, results, m, n]: vec4 along n where four divide it. */
export function partialElement({ n }: Pick<MatmulSpec, 'n'>): 'vec4f' | 'f32' {
  return dividesBy(n, 4) ? 'vec4f' : 'f32';
}

/** Position of an element among the partial sums, in elements of the scratch buffer. @param share index over kGroups and batch */
function position(spec: MatmulSpec, share: Expr, result: number, m: Expr, n: Expr): Expr {
  const plane = add(mul(share, u32(spec.results)), u32(result));
  const flat = add(mul(add(mul(plane, sizeExpr(spec.m, spec.dim)), m), sizeExpr(spec.n, spec.dim)), n);
  return partialElement(spec) === 'vec4f' ? div(flat, u32(4)) : flat;
}

const scratchBuffer = (b: KernelBuilder, spec: MatmulSpec, access: BufferRef['decl']['access']): BufferRef =>
  b.buffer('partial_sums', partialElement(spec), access);

/**
 * Ends the kernel of the partial sums; its last buffer is the scratch. The spec's own store is not called.
 * @param b of `matmulBuilder` with the same schedule
 */
export function partialMatmul(b: KernelBuilder, spec: MatmulSpec, schedule: MatmulSchedule): Kernel {
  const scratch = scratchBuffer(b, spec, 'read_write');
  const store: MatmulStore = {
    vectorAxis: partialElement(spec) === 'vec4f' ? 'n' : null,
    store: ({ m, n }, values) => values.forEach((value, result) => void scratch.store(position(spec, builtin('workgroupZ'), result, m, n), value)),
  };
  return matmul(b, { ...spec, store }, schedule);
}

/** Starts the kernel that `addPartials` ends. */
export const addingBuilder = (name: string): KernelBuilder => kernelBuilder(name, [ADDING_LANES, 1, 1]);

/**
 * Ends the kernel that adds the partial sums, in the order of k, and stores what the spec stores; its last buffer is the scratch.
 * @param b of `addingBuilder`
 */
export function addPartials(b: KernelBuilder, spec: MatmulSpec, kGroups: number): Kernel {
  const out = spec.store;
  const scratch = scratchBuffer(b, spec, 'read');
  const wide = out.vectorAxis === 'n' && dividesBy(spec.n, 4);
  const width = partialElement(spec) === 'vec4f' ? 4 : 1;
  const single = spec.batch.of.every((factor) => factor === 1);
  const batches = b.let('batches', sizeExpr(spec.batch, spec.dim));
  const sizeM = b.let('size_m', sizeExpr(spec.m, spec.dim));
  const across = b.let('across', div(sizeExpr(spec.n, spec.dim), u32(width)));
  const unit = b.let('unit', add(mul(b.linearWorkgroup(), u32(ADDING_LANES)), builtin('localX')));
  b.if(lt(unit, mul(mul(batches, sizeM), across)), () => {
    const n = b.let('n', mul(rem(unit, across), u32(width)));
    const row = b.let('row', div(unit, across));
    const batch = single ? u32(0) : b.let('batch', div(row, sizeM));
    const m = single ? row : b.let('m', rem(row, sizeM));
    const zero = width === 4 ? splat('vec4f', f32(0)) : f32(0);
    const sums = Array.from({ length: spec.results }, (_, result) => b.var(`sum_${result}`, width === 4 ? 'vec4f' : 'f32', zero));
    b.for('split', u32(0), u32(kGroups), u32(1), (split) => {
      const share = b.let('share', add(mul(split, batches), batch));
      sums.forEach((sum, result) => void sum.set(add(sum.get, scratch.load(position(spec, share, result, m, n)))));
    });
    const values = sums.map((sum) => sum.get);
    if (wide || width === 1) out.store({ batch, m, n }, values, width);
    else
      for (let i = 0; i < 4; i++)
        out.store(
          { batch, m, n: add(n, u32(i)) },
          values.map((value): Expr => ({ kind: 'component', type: 'f32', of: value, index: u32(i) })),
          1,
        );
  });
  return b.finish([{ of: [...spec.batch.of, ...spec.m.of, ...spec.n.of], per: ADDING_LANES * width }, ONE_GROUP, ONE_GROUP]);
}

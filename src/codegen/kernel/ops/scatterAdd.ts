/** @file `scatter_add` without atomics: the first token of each id sums the rows of all tokens with that id, in their order. */

import type { Op } from '../../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from '../builder.ts';
import { dimOf } from '../emit.ts';
import { add, and, bin, builtin, call, convert, eq, i32, lt, mul, u32 } from '../expr.ts';
import { type Group, gridOf, type Lowered, type LowerOptions } from '../group.ts';
import { productExpr } from '../index.ts';
import { widthOf } from '../ir.ts';
import { bufferOf } from './attention.ts';

const LANES = 64;

/** The result must hold zeros, or what is to be added to: only rows that occur are touched. */
export function lowerScatterAdd(group: Group, op: Op, options: LowerOptions): Lowered {
  const [ids, rows] = op.operands;
  const [out] = op.results;
  if (!ids || !rows || !out) throw new Error('scatter_add has no operands');
  const b = kernelBuilder(group.name, [LANES, 1, 1]);
  const scope = { dim: dimOf(options.dims), bind: (name: string, v: Parameters<typeof b.let>[1]) => b.let(name, v) };
  const idBuffer = b.buffer('ids', 'i32', 'read');
  const elements = rows.type.shape.slice(ids.type.shape.length).reduce<number>((p, d) => p * Number(d), 1);
  // every lane looks through all ids: the fewer lanes, the better
  const type = elements % 4 === 0 ? 'vec4f' : 'f32';
  const rowBuffer = b.buffer('rows', type, 'read');
  const outBuffer = b.buffer('out', type, 'read_write');
  const width = elements / widthOf(type);
  const tokens = b.let('tokens', productExpr(ids.type.shape, scope));
  const perRow = Math.ceil(width / LANES);
  const group0 = b.let('group', b.linearWorkgroup());
  const token = b.let('token', bin('/', group0, u32(perRow)));
  const column = b.let('column', add(mul(bin('%', group0, u32(perRow)), u32(LANES)), builtin('localX')));
  const vocabulary = Number(out.type.shape[0]);
  b.if(and(lt(token, tokens), lt(column, u32(width))), () => {
    const id = b.let('id', idBuffer.load(token));
    const first = b.var('first', 'u32', u32(1));
    b.for('j', u32(0), token, u32(1), (j) => b.if(eq(idBuffer.load(j), id), () => first.set(u32(0))));
    b.if(eq(first.get, u32(1)), () => {
      const sum = b.var('sum', type, rowBuffer.load(add(mul(token, u32(width)), column)));
      b.for('j', add(token, u32(1)), tokens, u32(1), (j) =>
        b.if(eq(idBuffer.load(j), id), () => sum.set(add(sum.get, rowBuffer.load(add(mul(j, u32(width)), column))))),
      );
      const row = b.let('row', convert('u32', call('clamp', id, i32(0), i32(vocabulary - 1))));
      const at = b.let('at', add(mul(row, u32(width)), column));
      outBuffer.store(at, add(outBuffer.load(at), sum.get));
    });
  });
  return {
    kernel: b.finish([gridOf([...ids.type.shape, perRow], 1), ONE_GROUP, ONE_GROUP]),
    values: [bufferOf(ids, group), bufferOf(rows, group), out],
  };
}

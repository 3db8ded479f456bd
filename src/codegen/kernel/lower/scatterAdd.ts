/** @file Lowers `scatter_add` without atomics: the first token of each id sums the rows of all tokens with that id, in their order. */

import type { Op } from '../../../ir/types.ts';
import { kernelBuilder, ONE_GROUP } from '../builder.ts';
import { kindTraits } from '../device.ts';
import { add, and, bin, builtin, call, convert, eq, i32, lt, min, mul, u32 } from '../expr.ts';
import { type Expr, widthOf } from '../ir.ts';
import { bufferOf } from './attention.ts';
import { dimOf } from './emit.ts';
import { type Group, gridOf } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { type IndexScope, productExpr } from './position.ts';

/** Lanes of a workgroup, and most columns of a lane. Each lane searches all ids, so on a CPU, which runs lanes in turn, few lanes take many columns. */
const cutOf = (lanesInTurn: boolean): { readonly lanes: number; readonly most: number } => (lanesInTurn ? { lanes: 8, most: 8 } : { lanes: 64, most: 1 });

/** The result must hold zeros or other numbers to add to, since only rows whose id occurs are touched. */
export function lowerScatterAdd(group: Group, op: Op, options: LowerOptions): Lowered {
  const [ids, rows] = op.operands;
  const [out] = op.results;
  if (!ids || !rows || !out) throw new Error('scatter_add has no operands');
  const { lanes, most } = cutOf(kindTraits(options.device).lanesInTurn);
  const b = kernelBuilder(group.name, [lanes, 1, 1]);
  const scope: IndexScope = { dim: dimOf(options.dims), bind: (name, v) => b.let(name, v), quotients: new Map() };
  const idBuffer = b.buffer('ids', 'i32', 'read');
  const elements = rows.type.shape.slice(ids.type.shape.length).reduce<number>((p, d) => p * Number(d), 1);
  const type = elements % 4 === 0 ? 'vec4f' : 'f32';
  const rowBuffer = b.buffer('rows', type, 'read');
  const outBuffer = b.buffer('out', type, 'read_write');
  const width = elements / widthOf(type);
  const tokens = b.let('tokens', productExpr(ids.type.shape, scope));
  const perRow = Math.ceil(width / (lanes * most));
  const perLane = Math.ceil(width / (lanes * perRow));
  const group0 = b.let('group', b.linearWorkgroup());
  const token = b.let('token', bin('/', group0, u32(perRow)));
  const start = b.let('start', add(mul(bin('%', group0, u32(perRow)), u32(lanes * perLane)), builtin('localX')));
  const exact = width % (lanes * perLane) === 0;
  const columns = Array.from({ length: perLane }, (_, i) => b.let('column', add(start, u32(i * lanes))));
  const load = (j: Expr, column: Expr): Expr => rowBuffer.load(add(mul(j, u32(width)), exact ? column : min(column, u32(width - 1))));
  const vocabulary = Number(out.type.shape[0]);
  const inside = lt(token, tokens);
  const { padding } = op.attrs;
  /** Runs `body` unless the id is that of the padding. */
  const counted = (id: Expr, body: () => void): void => (typeof padding === 'number' ? b.if(bin('!=', id, i32(padding)), body) : body());
  const perToken = (id: Expr): void => {
    const first = b.var('first', 'u32', u32(1));
    b.for('j', u32(0), token, u32(1), (j) => b.if(eq(idBuffer.load(j), id), () => first.set(u32(0))));
    b.if(eq(first.get, u32(1)), () => {
      const sums = columns.map((column) => ({ column, sum: b.var('sum', type, load(token, column)) }));
      b.for('j', add(token, u32(1)), tokens, u32(1), (j) =>
        b.if(eq(idBuffer.load(j), id), () => {
          for (const { column, sum } of sums) sum.set(add(sum.get, load(j, column)));
        }),
      );
      const row = b.let('row', convert('u32', call('clamp', id, i32(0), i32(vocabulary - 1))));
      for (const { column, sum } of sums) {
        const store = (): void => {
          const at = b.let('at', add(mul(row, u32(width)), column));
          outBuffer.store(at, add(outBuffer.load(at), sum.get));
        };
        if (exact) store();
        else b.if(lt(column, u32(width)), store);
      }
    });
  };
  b.if(exact ? inside : and(inside, lt(start, u32(width))), () => {
    const id = b.let('id', idBuffer.load(token));
    counted(id, () => perToken(id));
  });
  return {
    kernel: b.finish([gridOf([...ids.type.shape, perRow], 1), ONE_GROUP, ONE_GROUP]),
    values: [bufferOf(ids, group), bufferOf(rows, group), out],
  };
}

/** @file Ops on rows that ids select, `gather` (embedding) and its transpose `scatter_add`, and `dequantise`, which widens stored weights. */

import { call, convert, i32, min, sub, u32 } from '../../codegen/kernel/expr.ts';
import { productOf } from '../../cost.ts';
import { at } from '../../errors.ts';
import { constraint } from '../constraint.ts';
import { makeOp, shapeToAttr } from '../define.ts';
import { tensor } from '../tensor.ts';
import { blockOf, type Type, typeText } from '../types.ts';

/** Checks constraint C2 of `op`: the attribute `padding`, if it is given, is a row of the table. */
function checkPadding(padding: number | undefined, rows: number, op: string): void {
  constraint(
    padding === undefined || (Number.isInteger(padding) && padding >= 0 && padding < rows),
    op,
    'C2',
    () => `padding must be a row of the table, 0 to ${rows - 1}, found ${padding}`,
  );
}

const clamped = (id: number, rows: number): number => Math.min(Math.max(id, 0), rows - 1);

/**
 * `gather %table, %ids {padding?}`: rows of table [V, …] at i32 ids […]; ids are clamped to the table. Look-ups of row `padding` give the
 * table no gradient (torch's `nn.Embedding(padding_idx)`). (C1) the table has rows. (C2) padding is a row of the table.
 */
const gather = makeOp({
  name: 'gather',
  kind: 'index',
  operands: { table: 'f32', ids: 'i32' },
  attrs: { padding: 'number?' },
  ids: { ids: 'ids', of: 'table', axis: 0, what: 'rows', negative: false },
  infer: ({ table, ids }, { padding }) => {
    constraint(table.shape.length > 0, 'gather', 'C1', () => `the table must have rows, found ${typeText(table)}`);
    checkPadding(padding, Number(table.shape[0]), 'gather');
    return { dtype: 'f32', shape: [...ids.shape, ...table.shape.slice(1)] };
  },
  evaluate: ({ table, ids }, _attrs, { shape }) => {
    const rows = at(table.shape, 0);
    const width = table.data.length / rows;
    const out = tensor('f32', shape);
    ids.data.forEach((id, i) => {
      const from = clamped(id, rows) * width;
      out.data.set(table.data.subarray(from, from + width), i * width);
    });
    return out;
  },
  vjp: ({ b, d, needs, attrs: { padding } }, { table, ids }) => ({
    table: needs.table ? b.op('scatter_add', [ids, d], { rows: Number(table.type.shape[0]), ...(padding === undefined ? {} : { padding }) }) : null,
  }),
  flops: () => [],
  element: (place) => {
    const { shape } = place.typeOf('ids');
    const axes = place.axes();
    const id = place.at('ids', () => ({ axes: axes.slice(0, shape.length) }), 1);
    const rows = place.extent(at(place.typeOf('table').shape, 0));
    const row = place.bind('row', min(convert('u32', call('max', id, i32(0))), sub(rows, u32(1))));
    return place.lookUp('table', { axes: [row, ...axes.slice(shape.length)] });
  },
  fourWide: ({ table }) => (table.shape.length > 1 ? { along: ['table'] } : 'none'),
  samples: [
    {
      types: [
        { dtype: 'f32', shape: [5, 3] },
        { dtype: 'i32', shape: [2, 4] },
      ],
      values: { 1: [0, 4, 2, 2, 1, 0, 3, 3] },
    },
  ],
  rejects: [
    {
      constraint: 'C1',
      types: [
        { dtype: 'f32', shape: [] },
        { dtype: 'i32', shape: [2] },
      ],
    },
    {
      constraint: 'C2',
      types: [
        { dtype: 'f32', shape: [5, 3] },
        { dtype: 'i32', shape: [2] },
      ],
      attrs: { padding: 5 },
    },
  ],
});

/**
 * `scatter_add %ids, %d {rows, padding?}`: f32 [rows, …]. Row r is the sum of those rows of d whose id is r; row `padding` is zero. The result is
 * deterministic. (C1) the leading axes of d are those of ids. (C2) padding is one of the rows.
 */
const scatterAdd = makeOp({
  name: 'scatter_add',
  kind: 'kernel',
  operands: { ids: 'i32', d: 'f32' },
  attrs: { rows: 'number', padding: 'number?' },
  effects: 'accumulates',
  infer: ({ ids, d }, { rows, padding }) => {
    constraint(
      ids.shape.every((dim, i) => dim === d.shape[i]),
      'scatter_add',
      'C1',
      () => `ids must have the leading axes of the rows, found ${typeText(ids)} and ${typeText(d)}`,
    );
    checkPadding(padding, rows, 'scatter_add');
    return { dtype: 'f32', shape: [rows, ...d.shape.slice(ids.shape.length)] };
  },
  evaluate: ({ ids, d }, { rows, padding }, { shape }) => {
    const out = tensor('f32', shape);
    const width = d.data.length / ids.data.length;
    ids.data.forEach((raw, i) => {
      if (raw === padding) return;
      const to = clamped(raw, rows) * width;
      for (let c = 0; c < width; c++) out.data[to + c] = at(out.data, to + c) + at(d.data, i * width + c);
    });
    return out;
  },
  vjp: ({ b, d, attrs: { padding } }, { ids, d: rows }) => {
    const picked = b.op('gather', [d, ids]);
    if (padding === undefined) return { d: picked };
    const column = b.op('reshape', [ids], { shape: shapeToAttr(rows.type.shape.map((dim, i) => (i < ids.type.shape.length ? dim : 1))) });
    return { d: b.op('select', [b.op('eq', [column, b.constant(padding, 'i32')]), b.constant(0), picked]) };
  },
  flops: ({ d }) => productOf(d.shape),
  samples: [
    {
      types: [
        { dtype: 'i32', shape: [2, 4] },
        { dtype: 'f32', shape: [2, 4, 3] },
      ],
      attrs: { rows: 5 },
      values: { 0: [0, 4, 2, 2, 1, 0, 3, 3] },
    },
    {
      types: [
        { dtype: 'i32', shape: [2, 4] },
        { dtype: 'f32', shape: [2, 4, 4] },
      ],
      attrs: { rows: 5, padding: 2 },
      values: { 0: [0, 4, 2, 2, 1, 0, 2, 3] },
    },
  ],
  rejects: [
    {
      constraint: 'C1',
      types: [
        { dtype: 'i32', shape: [3] },
        { dtype: 'f32', shape: [2, 3] },
      ],
      attrs: { rows: 5 },
    },
  ],
});

const wholeBlocks = ({ dtype, shape }: Type): boolean => typeof shape.at(-1) === 'number' && Number(shape.at(-1)) % blockOf(dtype).block === 0;

/**
 * `dequantise %w`: w as f32, widened from the dtype in which its checkpoint stores it. Kernels widen w while they load it, or once before a dot
 * (`widenOnce`). The evaluator's tensors hold the widened numbers already. (C1) the last axis is whole blocks.
 */
const dequantise = makeOp({
  name: 'dequantise',
  kind: 'index',
  operands: { w: 'stored' },
  view: true,
  widens: true,
  inLoads: 'always',
  infer: ({ w }) => {
    constraint(wholeBlocks(w), 'dequantise', 'C1', () => `the last axis must be whole blocks of ${blockOf(w.dtype).block}, found ${typeText(w)}`);
    return { dtype: 'f32', shape: w.shape };
  },
  evaluate: ({ w }) => ({ dtype: 'f32', shape: w.shape, data: w.data }),
  flops: ({ w }) => productOf(w.shape),
  element: (place) => place.stored('w'),
  fourWide: 'all',
  samples: [{ types: [{ dtype: 'bf16', shape: [2, 4] }] }, { types: [{ dtype: 'q8_0', shape: [2, 32] }] }],
  rejects: [
    { constraint: 'C0', types: [{ dtype: 'f32', shape: [2, 4] }] },
    { constraint: 'C1', types: [{ dtype: 'q4_0', shape: [2, 16] }] },
  ],
});

export const gatherOps = [gather, scatterAdd, dequantise] as const;

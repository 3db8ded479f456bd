/** @file Data-dependent rows: `gather` (embedding) and its transpose `scatter_add`, and `dequantise` of stored weights. */

import { productOf } from '../../cost.ts';
import { constraint, numberAttr, type OpDef, operand, shapeToAttr } from '../define.ts';
import { generate, tensor } from '../tensor.ts';
import { type Attrs, blockOf, isBlockType, typeText } from '../types.ts';

/** Whether a row is left out by attribute `padding`, a row of the table or none. */
function checkPadding(attrs: Attrs, rows: number, op: string): void {
  const { padding } = attrs;
  constraint(
    padding === undefined || (typeof padding === 'number' && Number.isInteger(padding) && padding >= 0 && padding < rows),
    op,
    'C2',
    () => `padding must be a row of the table, 0 to ${rows - 1}, found ${padding}`,
  );
}

/**
 * `gather %table, %ids {padding?}`: rows of table [V, …] at i32 ids […]; ids are clamped to the table. Look-ups of row `padding` give the
 * table no gradient (torch's `nn.Embedding(padding_idx)`). (C1) table f32, ids i32. (C2) padding is a row of the table.
 */
const gather: OpDef = {
  name: 'gather',
  kind: 'index',
  infer: (types, attrs) => {
    const table = operand(types, 0, 'gather');
    const ids = operand(types, 1, 'gather');
    constraint(
      table.dtype === 'f32' && ids.dtype === 'i32' && table.shape.length > 0,
      'gather',
      'C1',
      () => `takes an f32 table and i32 ids, found ${typeText(table)} and ${typeText(ids)}`,
    );
    checkPadding(attrs, Number(table.shape[0]), 'gather');
    return [{ dtype: 'f32', shape: [...ids.shape, ...table.shape.slice(1)] }];
  },
  evaluate: ([table, ids], _attrs, _sizes, types) => {
    if (!table || !ids) return [];
    const rows = table.shape[0] ?? 1;
    const width = table.data.length / rows;
    const out = tensor('f32', types[0]?.shape as readonly number[]);
    ids.data.forEach((id, i) =>
      out.data.set(table.data.subarray(Math.min(Math.max(id, 0), rows - 1) * width, (Math.min(Math.max(id, 0), rows - 1) + 1) * width), i * width),
    );
    return [out];
  },
  vjp: ({ b, operands: [table, ids], cotangents: [d], attrs: { padding }, needs }) => [
    needs[0] && table && ids && d ? b.op('scatter_add', [ids, d], { rows: Number(table.type.shape[0]), ...(padding === undefined ? {} : { padding }) }) : null,
    null,
  ],
  flops: () => [],
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
        { dtype: 'f32', shape: [5, 3] },
        { dtype: 'f32', shape: [2] },
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
};

/**
 * `scatter_add %ids, %d {rows, padding?}`: result [rows, …] where each row is the sum of d's rows with that id; row `padding` is zero.
 * Deterministic. (C1) d has ids' axes first. (C2) padding is one of the rows.
 */
const scatterAdd: OpDef = {
  name: 'scatter_add',
  kind: 'kernel',
  infer: (types, attrs) => {
    const ids = operand(types, 0, 'scatter_add');
    const d = operand(types, 1, 'scatter_add');
    constraint(
      ids.dtype === 'i32' && ids.shape.every((dim, i) => dim === d.shape[i]),
      'scatter_add',
      'C1',
      () => `ids must be i32 with the leading axes of the rows, found ${typeText(ids)} and ${typeText(d)}`,
    );
    const rows = numberAttr(attrs, 'rows', 'scatter_add');
    checkPadding(attrs, rows, 'scatter_add');
    return [{ dtype: 'f32', shape: [rows, ...d.shape.slice(ids.shape.length)] }];
  },
  evaluate: ([ids, d], { padding }, _sizes, types) => {
    if (!ids || !d) return [];
    const out = tensor('f32', types[0]?.shape as readonly number[]);
    const width = d.data.length / ids.data.length;
    const rows = out.shape[0] ?? 1;
    ids.data.forEach((raw, i) => {
      if (raw === padding) return;
      const id = Math.min(Math.max(raw, 0), rows - 1);
      for (let c = 0; c < width; c++) out.data[id * width + c] = (out.data[id * width + c] ?? 0) + (d.data[i * width + c] ?? 0);
    });
    return [out];
  },
  vjp({ b, operands: [ids, rows], cotangents: [d], attrs: { padding } }) {
    if (!ids || !rows || !d) return [null, null];
    const picked = b.op('gather', [d, ids]);
    if (typeof padding !== 'number') return [null, picked];
    const column = b.op('reshape', [ids], { shape: shapeToAttr(rows.type.shape.map((dim, i) => (i < ids.type.shape.length ? dim : 1))) });
    return [null, b.op('select', [b.op('eq', [column, b.constant(padding, 'i32')]), b.constant(0), picked])];
  },
  flops: (types) => productOf(operand(types, 1, 'scatter_add').shape),
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
};

/**
 * `dequantise %w`: f32 from the dtype a checkpoint is stored in. Kernels do it while loading; it is never materialised on its own.
 * The evaluator's tensors hold the numbers themselves. (C1) stored as f16, bf16 or blocks. (C2) the last axis is whole blocks.
 */
const dequantise: OpDef = {
  name: 'dequantise',
  kind: 'index',
  infer: (types) => {
    const w = operand(types, 0, 'dequantise');
    constraint(
      w.dtype === 'f16' || w.dtype === 'bf16' || isBlockType(w.dtype),
      'dequantise',
      'C1',
      () => `takes f16, bf16 or quantised blocks, found ${typeText(w)}`,
    );
    const last = w.shape.at(-1);
    constraint(
      typeof last === 'number' && last % blockOf(w.dtype).block === 0,
      'dequantise',
      'C2',
      () => `the last axis must be whole blocks of ${blockOf(w.dtype).block}, found ${typeText(w)}`,
    );
    return [{ dtype: 'f32', shape: w.shape }];
  },
  evaluate: ([w]) => (w ? [generate('f32', w.shape, () => 0)].map((t) => ({ ...t, data: w.data })) : []),
  flops: (types) => productOf(operand(types, 0, 'dequantise').shape),
  samples: [{ types: [{ dtype: 'bf16', shape: [2, 4] }] }, { types: [{ dtype: 'q8_0', shape: [2, 32] }] }],
  rejects: [
    { constraint: 'C1', types: [{ dtype: 'f32', shape: [2, 4] }] },
    { constraint: 'C2', types: [{ dtype: 'q4_0', shape: [2, 16] }] },
  ],
};

export const gatherOps: readonly OpDef[] = [gather, scatterAdd, dequantise];

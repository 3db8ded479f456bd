/** @file Rows in registers: which of them a lane has, as vec4 chunks that it loads, multiplies, sums up and stores. */

import { at, invariant } from '../../../../errors.ts';
import type { BufferRef, Variable } from '../../builder.ts';
import { add, builtin, call, component, div, f32, min, mul, rem, splat, sub, u32, vec } from '../../expr.ts';
import type { Expr } from '../../ir.ts';
import { type Frame, isWide, startFrame } from '../frame.ts';
import type { AttentionSpec } from '../spec.ts';
import type { RowsSchedule } from './schedule.ts';

export interface RowsFrame extends Frame {
  readonly schedule: RowsSchedule;
  /** vec4 chunks of a row that this lane holds, counted from 0. */
  readonly chunks: readonly number[];
  /** Which of the lanes this one is that share a row's walk, and which of the lanes along the rows. */
  readonly split: Expr;
  readonly row: Expr;
}

export function rowsFrame(spec: AttentionSpec, schedule: RowsSchedule): RowsFrame {
  const { lanes, splits, dimLanes } = schedule;
  const chunks = Math.ceil(spec.headDim / 4);
  invariant(Number.isInteger(Math.log2(splits)), 'splits merge by halves');
  invariant(dimLanes === 1 || (isWide(spec) && chunks % dimLanes === 0), 'lanes divide the head dimension');
  const frame = startFrame(spec, dimLanes * splits * lanes, dimLanes > 1 ? { subgroups: true } : {});
  const { b } = frame;
  const local = builtin('localX');
  const lane = dimLanes === 1 ? u32(0) : b.let('lane_dim', rem(local, u32(dimLanes)));
  // splits vary slowest: the lanes of a subgroup walk together, and what they load is the same
  const split = splits === 1 ? u32(0) : b.let('lane_split', div(local, u32(dimLanes * lanes)));
  const along = splits === 1 ? div(local, u32(dimLanes)) : rem(div(local, u32(dimLanes)), u32(lanes));
  return {
    ...frame,
    held: { lanes: dimLanes, lane, unit: (c) => (dimLanes === 1 ? u32(c) : add(lane, u32(c * dimLanes))) },
    schedule,
    chunks: Array.from({ length: chunks / dimLanes }, (_, c) => c),
    split,
    row: lanes === 1 ? u32(0) : b.let('lane_row', along),
  };
}

/** Rows of a workgroup. */
export const perGroup = ({ schedule }: RowsFrame): number => schedule.lanes * schedule.rows;

/** A row of a lane: its index, and that kept in bounds. */
export interface RowPlace {
  readonly index: Expr;
  readonly inside: Expr;
}

/** The tile of a workgroup: its first row, and of each row of a lane what `make` makes. */
export function ownRows<T>(
  frame: RowsFrame,
  name: 'query' | 'key',
  length: Expr,
  make: (place: RowPlace) => T,
): { readonly rows: readonly T[]; readonly first: Expr; readonly last: Expr } {
  const { b, schedule } = frame;
  const first = b.let('tile', mul(builtin('workgroupX'), u32(perGroup(frame))));
  const rows = Array.from({ length: schedule.rows }, (_, r) => {
    const index = b.let(name, add(add(first, frame.row), u32(r * schedule.lanes)));
    return make({ index, inside: b.let(`${name}_in`, min(index, sub(length, u32(1)))) });
  });
  return { rows, first, last: b.let('last', min(add(first, u32(perGroup(frame) - 1)), sub(length, u32(1)))) };
}

/** Loads chunk c of a row; elements past the head dimension are 0. */
function loadChunk({ spec, held }: RowsFrame, from: BufferRef, start: Expr, c: number): Expr {
  if (isWide(spec)) return from.load(add(start, held.unit(c)));
  const element = (e: number): Expr => (e < spec.headDim ? from.load(add(start, u32(e))) : f32(0));
  return vec(
    'vec4f',
    [0, 1, 2, 3].map((i) => element(c * 4 + i)),
  );
}

export function loadRow(frame: RowsFrame, name: string, from: BufferRef, start: Expr): readonly Expr[] {
  return frame.chunks.map((c) => frame.b.let(`${name}_${c}`, loadChunk(frame, from, start, c)));
}

export function storeRow({ spec, held }: RowsFrame, to: BufferRef, start: Expr, row: readonly Expr[]): void {
  row.forEach((chunk, c) => {
    if (isWide(spec)) to.store(add(start, held.unit(c)), chunk);
    else for (let i = 0; i < 4 && c * 4 + i < spec.headDim; i++) to.store(add(start, u32(c * 4 + i)), component(chunk, i));
  });
}

/** Σ over the whole head dimension of two rows, also where several lanes hold them. */
export function rowDot({ b, held }: RowsFrame, name: string, x: readonly Expr[], y: readonly Expr[]): Expr {
  const products = x.map((chunk, c) => call('dot', chunk, at(y, c)));
  let total = b.let(
    name,
    products.reduce((sum, product) => add(sum, product)),
  );
  for (let mask = 1; mask < held.lanes; mask *= 2) total = b.let(name, add(total, call('subgroupShuffleXor', total, u32(mask))));
  return total;
}

/** vec4 sums of one row. */
export function rowSums(frame: RowsFrame, name: string): readonly Variable[] {
  return frame.chunks.map((c) => frame.b.var(`${name}_${c}`, 'vec4f', splat('vec4f', f32(0))));
}

export const valuesOf = (sums: readonly Variable[]): readonly Expr[] => sums.map((sum) => sum.get);

export const scaled = (row: readonly Expr[], by: Expr): readonly Expr[] => row.map((chunk) => mul(chunk, splat('vec4f', by)));

export function addScaled(sums: readonly Variable[], row: readonly Expr[], by: Expr): void {
  sums.forEach((sum, c) => void sum.set(add(sum.get, mul(at(row, c), splat('vec4f', by)))));
}

/** @file Rows spread over a subgroup: which of them a workgroup has, what each lane holds of them, and how they are stored. */

import { at } from '../../../../errors.ts';
import type { BufferRef } from '../../builder.ts';
import { add, builtin, lt, min, mul, splat, sub, u32 } from '../../expr.ts';
import type { Expr, KType } from '../../ir.ts';
import { type Frame, rowType, rowUnits, shifted, startFrame } from '../frame.ts';
import { type Angles, pairsChunks, storeTurned, turnedRow } from '../rotation.ts';
import type { AttentionSpec } from '../spec.ts';
import type { SpreadSchedule } from './schedule.ts';

export interface SpreadFrame extends Frame {
  readonly schedule: SpreadSchedule;
}

export function spreadFrame(spec: AttentionSpec, schedule: SpreadSchedule): SpreadFrame {
  const { lanes } = schedule;
  const lane = builtin('subgroupInvocation');
  const frame = startFrame(spec, lanes, { subgroups: true, subgroupSize: lanes });
  return { ...frame, schedule, held: { lanes, lane, unit: (u) => add(lane, u32(u * lanes)) } };
}

/** Units of a row that each lane holds. */
export const unitsPerLane = ({ spec, schedule }: SpreadFrame): number => Math.ceil(rowUnits(spec) / schedule.lanes);

export const mulUnit = (value: Expr, by: Expr): Expr => (value.type === 'f32' ? mul(value, by) : mul(value, splat('vec4f', by)));

/** The rows of a workgroup: their indices, the same kept in bounds, the first and the last of them. */
export interface OwnRows {
  readonly first: Expr;
  readonly last: Expr;
  readonly index: readonly Expr[];
  readonly inside: readonly Expr[];
}

export function ownRows({ b, schedule }: SpreadFrame, length: Expr): OwnRows {
  const first = b.let('tile', mul(builtin('workgroupX'), u32(schedule.rows)));
  const end = b.let('end_row', sub(length, u32(1)));
  const index = Array.from({ length: schedule.rows }, (_, r) => add(first, u32(r)));
  const last = b.let('last_row', min(add(first, u32(schedule.rows - 1)), end));
  return { first, last, index, inside: index.map((row, r) => (r === 0 ? row : b.let('row', min(row, end)))) };
}

/** Whether both chunks of every pair that is rotated lie in one lane. */
export function pairsInLane({ spec, schedule }: SpreadFrame): boolean {
  return pairsChunks(spec) && (spec.headDim / 8) % schedule.lanes === 0;
}

/** The element type of a buffer that `storeRows` writes: f32 where pairs lie in different lanes, which store element by element. */
export function storedType(frame: SpreadFrame, angles: Angles | null): KType {
  return angles === null || pairsInLane(frame) ? rowType(frame.spec) : 'f32';
}

/** Results of a workgroup's rows on their way to memory. */
export interface Stored {
  /** Units of each row that this lane holds. */
  readonly values: readonly (readonly Expr[])[];
  readonly rows: OwnRows;
  /** How many rows there are in all. */
  readonly length: Expr;
  /** Where a row starts, in units. */
  readonly start: (index: Expr) => Expr;
}

/** Stores the rows that exist, turned back where there are angles. */
export function storeRows(frame: SpreadFrame, to: BufferRef, angles: Angles | null, { values, rows, length, start }: Stored): void {
  if (angles !== null && !pairsInLane(frame)) {
    storeTurned(frame, angles, to, { rows: values, count: rowUnits(frame.spec), first: rows.first, length, start });
    return;
  }
  rows.index.forEach((index, r) => {
    const row = turnedRow(frame, angles, shifted(frame, at(rows.inside, r)), at(values, r));
    frame.b.if(lt(index, length), () => storeRow(frame, to, start(index), row));
  });
}

/** Stores what this lane holds of a row. */
export function storeRow({ b, spec, held }: SpreadFrame, to: BufferRef, start: Expr, row: readonly Expr[]): void {
  row.forEach((value, u) => {
    const unit = held.unit(u);
    const store = (): void => to.store(add(start, unit), value);
    if ((u + 1) * held.lanes <= rowUnits(spec)) store();
    else b.if(lt(unit, u32(rowUnits(spec))), store);
  });
}

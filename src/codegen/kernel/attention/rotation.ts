/** @file Gradients of rotated queries and keys on their way to memory, turned back (`rope {inverse}`): y₁ = x₁·cos + x₂·sin, y₂ = x₂·cos − x₁·sin. */

import { at } from '../../../errors.ts';
import type { ArrayRef, BufferRef } from '../builder.ts';
import { add, call, component, f32, hiddenBound, lt, min, mul, neg, rem, select, splat, sub, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { type Frame, input, isWide, shifted } from './frame.ts';
import type { AttentionSpec } from './spec.ts';

/** Whether vec4 chunks pair up with vec4 chunks half a row away. */
export const pairsChunks = ({ headDim }: AttentionSpec): boolean => headDim % 8 === 0;

/** The angles [positions, D]: cos of a position's D/2 angles, then sin of them. */
export interface Angles {
  readonly buffer: BufferRef;
  readonly positions: number;
}

/** Declares the angles; null where nothing is rotated. @param wide whether they are read as vec4 */
export function angleBuffer(frame: Frame, wide: boolean): Angles | null {
  const { rotation } = frame.spec;
  return rotation === null ? null : { buffer: input(frame, 'angles', wide ? 'vec4f' : 'f32'), positions: rotation.positions };
}

/** Where the angles of position `index` start. */
function anglesStart({ b }: Frame, { positions }: Angles, index: Expr, perRow: number): Expr {
  return b.let('angles_at', mul(min(index, u32(positions - 1)), u32(perRow)));
}

/** A row of vec4 chunks at position `index`, as its lanes hold it between them. Lanes of a row must come here together. */
export function turnedRow(frame: Frame, angles: Angles | null, index: Expr, row: readonly Expr[]): readonly Expr[] {
  if (angles === null) return row;
  return pairsChunks(frame.spec) ? turnedChunks(frame, angles, index, row) : turnedElements(frame, angles, index, row);
}

function turnedChunks(frame: Frame, angles: Angles, index: Expr, row: readonly Expr[]): readonly Expr[] {
  const { b, spec, held } = frame;
  const half = spec.headDim / 8;
  const start = anglesStart(frame, angles, index, 2 * half);
  const step = Math.floor(half / held.lanes);
  const chunk = (c: number): Expr => at(row, c % row.length);
  // Where a lane has an odd number of chunks, another lane of the row holds the other half of a pair.
  const low = half % held.lanes === 0 ? null : b.let('low', lt(held.lane, u32(held.lanes / 2)));
  return row.map((own, c) => {
    const unit = held.unit(c);
    const pair = b.let('pair', rem(unit, u32(half)));
    const cos = b.let('cos', angles.buffer.load(add(start, pair)));
    const sin = b.let('sin', angles.buffer.load(add(start, add(pair, u32(half)))));
    const [other, toward] =
      low === null
        ? [chunk(c + step), c < row.length / 2 ? sin : neg(sin)]
        : [
            exchanged(frame, b.let('sent', select(chunk(c + step), chunk(c + step + 1), low))),
            mul(sin, splat('vec4f', select(f32(-1), f32(1), lt(unit, u32(half))))),
          ];
    return b.let('turned', add(mul(own, cos), mul(other, toward)));
  });
}

/** The value that is received from the lane half a row away. */
function exchanged({ b, held }: Frame, sent: Expr): Expr {
  const parts = [0, 1, 2, 3].map((i) => call('subgroupShuffleXor', component(sent, i), u32(held.lanes / 2)));
  return b.let('received', vec('vec4f', parts));
}

function turnedElements(frame: Frame, angles: Angles, index: Expr, row: readonly Expr[]): readonly Expr[] {
  const { b, spec } = frame;
  const half = spec.headDim / 2;
  const start = anglesStart(frame, angles, index, spec.headDim);
  const element = (e: number): Expr => component(at(row, Math.floor(e / 4)), e % 4);
  const turned = (e: number): Expr => {
    if (e >= spec.headDim) return f32(0);
    const [cos, sin] = [angles.buffer.load(add(start, u32(e % half))), angles.buffer.load(add(start, u32((e % half) + half)))];
    const other = mul(element((e + half) % spec.headDim), sin);
    return e < half ? add(mul(element(e), cos), other) : sub(mul(element(e), cos), other);
  };
  return row.map((_, c) =>
    b.let(
      'turned',
      vec(
        'vec4f',
        [0, 1, 2, 3].map((i) => turned(4 * c + i)),
      ),
    ),
  );
}

/** Rows of a tile that lie spread over the lanes of a workgroup. */
export interface SpreadTile {
  /** Units of each row that a lane holds. */
  readonly rows: readonly (readonly Expr[])[];
  /** Units of a whole row. */
  readonly count: number;
  /** The tile's first row, and how many rows there are in all. */
  readonly first: Expr;
  readonly length: Expr;
  /** Where a row starts, in units. */
  readonly start: (index: Expr) => Expr;
}

/**
 * Turns rows back and stores them, where pairs lie in different lanes: `to` is bound as f32. They pass through workgroup memory, so that a
 * loop does what would be much code unrolled.
 */
export function storeTurned(frame: Frame, angles: Angles, to: BufferRef, tile: SpreadTile): void {
  const { b, spec } = frame;
  const whole = b.shared('whole', 'f32', tile.rows.length * spec.headDim);
  tile.rows.forEach((row, r) => void putWhole(frame, whole, row, r, tile.count));
  b.barrier();
  b.for('turned', u32(0), hiddenBound(tile.rows.length), u32(1), (r) => {
    const index = b.let('index', add(tile.first, r));
    b.if(lt(index, tile.length), () => storeTurnedRow(frame, angles, to, { whole, row: r, index, start: tile.start }));
  });
}

/** Puts what this lane holds of row r where all of it can be read. */
function putWhole({ b, spec, held }: Frame, whole: ArrayRef, row: readonly Expr[], r: number, count: number): void {
  const width = isWide(spec) ? 4 : 1;
  row.forEach((value, u) => {
    const unit = held.unit(u);
    const put = (): void => {
      for (let i = 0; i < width; i++) whole.setAt(add(mul(unit, u32(width)), u32(r * spec.headDim + i)), width === 1 ? value : component(value, i));
    };
    if ((u + 1) * held.lanes <= count) put();
    else b.if(lt(unit, u32(count)), put);
  });
}

interface WholeRow extends Pick<SpreadTile, 'start'> {
  readonly whole: ArrayRef;
  /** Which of the tile's rows it is, and its index among all. */
  readonly row: Expr;
  readonly index: Expr;
}

/** The lanes turn and store a row between them, element by element. */
function storeTurnedRow(frame: Frame, angles: Angles, to: BufferRef, { whole, row, index, start }: WholeRow): void {
  const { b, spec, held } = frame;
  const { headDim } = spec;
  const table = anglesStart(frame, angles, shifted(frame, index), headDim);
  const from = b.let('from', mul(row, u32(headDim)));
  const into = b.let('into', mul(start(index), u32(isWide(spec) ? 4 : 1)));
  b.for('e', held.lane, hiddenBound(headDim), u32(held.lanes), (e) => {
    const pair = b.let('pair', rem(e, u32(headDim / 2)));
    const sin = b.let('sin', angles.buffer.load(add(table, add(pair, u32(headDim / 2)))));
    const own = mul(whole.at(add(from, e)), angles.buffer.load(add(table, pair)));
    const other = whole.at(add(from, rem(add(e, u32(headDim / 2)), u32(headDim))));
    to.store(add(into, e), add(own, mul(other, select(neg(sin), sin, lt(e, u32(headDim / 2))))));
  });
}

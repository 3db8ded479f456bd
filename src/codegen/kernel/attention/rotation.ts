/** @file Gradients of rotated queries and keys on their way to memory, turned back (`rope {inverse}`): y₁ = x₁·cos + x₂·sin, y₂ = x₂·cos − x₁·sin. */

import type { BufferRef } from '../builder.ts';
import { add, builtin, call, component, f32, hiddenBound, lt, min, mul, neg, rem, select, splat, sub, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { chunkOf, type Frame, isWide, shifted } from './frame.ts';

/** Whether vec4 chunks pair up with vec4 chunks half a row away. */
const pairsChunks = (headDim: number): boolean => headDim % 8 === 0;

/** Whether a row that is spread over a subgroup has both chunks of every pair in one lane. */
export function pairsInLane({ spec, schedule }: Frame): boolean {
  return schedule.kind === 'spread' && pairsChunks(spec.headDim) && (spec.headDim / 8) % schedule.lanes === 0;
}

/** Declares the angles [positions, D]: cos of a position's D/2 angles, then sin of them. null where nothing is rotated. */
export function angleBuffer(frame: Frame): BufferRef | null {
  const { b, spec, schedule } = frame;
  if (spec.rotation === null) return null;
  const chunks = schedule.kind === 'rows' ? pairsChunks(spec.headDim) : pairsInLane(frame);
  return b.buffer('angles', chunks ? 'vec4f' : 'f32', 'read');
}

/** Where the angles of position `at` start. */
function anglesStart({ b, spec }: Frame, at: Expr, perRow: number): Expr {
  return b.let('angles_at', mul(min(at, u32((spec.rotation?.positions ?? 1) - 1)), u32(perRow)));
}

/** A row of vec4 chunks at position `at`, as the lanes hold it between them. Lanes of a row must come here together. */
export function turnedRow(frame: Frame, angles: BufferRef | null, at: Expr, row: readonly Expr[]): readonly Expr[] {
  if (angles === null) return row;
  return pairsChunks(frame.spec.headDim) ? turnedChunks(frame, angles, at, row) : turnedElements(frame, angles, at, row);
}

function turnedChunks(frame: Frame, angles: BufferRef, at: Expr, row: readonly Expr[]): readonly Expr[] {
  const { b, spec, schedule, lane } = frame;
  const spread = schedule.kind === 'spread';
  const lanes = spread ? schedule.lanes : schedule.dimLanes;
  const half = spec.headDim / 8;
  const start = anglesStart(frame, at, 2 * half);
  const step = Math.floor(half / lanes);
  const chunk = (c: number): Expr => row[c % row.length] ?? f32(0);
  // an odd number of chunks a lane: the other half of a pair is held by another lane of the row
  const low = half % lanes === 0 ? null : b.let('low', lt(lane.dim, u32(lanes / 2)));
  return row.map((own, c) => {
    const index = spread ? laneUnit(frame, c) : chunkOf(frame, c);
    const pair = b.let('pair', rem(index, u32(half)));
    const cos = b.let('cos', angles.load(add(start, pair)));
    const sin = b.let('sin', angles.load(add(start, add(pair, u32(half)))));
    const [other, toward] =
      low === null
        ? [chunk(c + step), c < row.length / 2 ? sin : neg(sin)]
        : [
            exchanged(frame, b.let('sent', select(chunk(c + step), chunk(c + step + 1), low))),
            mul(sin, splat('vec4f', select(f32(-1), f32(1), lt(index, u32(half))))),
          ];
    return b.let('turned', add(mul(own, cos), mul(other, toward)));
  });
}

function exchanged({ b, schedule }: Frame, sent: Expr): Expr {
  const parts = [0, 1, 2, 3].map((i) => call('subgroupShuffleXor', component(sent, i), u32(schedule.dimLanes / 2)));
  return b.let('received', vec('vec4f', parts));
}

function turnedElements(frame: Frame, angles: BufferRef, at: Expr, row: readonly Expr[]): readonly Expr[] {
  const { b, spec } = frame;
  const half = spec.headDim / 2;
  const start = anglesStart(frame, at, spec.headDim);
  const element = (e: number): Expr => component(row[Math.floor(e / 4)] ?? f32(0), e % 4);
  const turned = (e: number): Expr => {
    if (e >= spec.headDim) return f32(0);
    const [cos, sin] = [angles.load(add(start, u32(e % half))), angles.load(add(start, u32((e % half) + half)))];
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

/** The index of the lane's u-th unit of a row spread over a subgroup, unclamped. */
export const laneUnit = ({ schedule }: Frame, u: number): Expr => add(builtin('subgroupInvocation'), u32(u * schedule.lanes));

/** A gradient whose rows lie spread over the lanes of a subgroup. */
interface Spread {
  readonly angles: BufferRef;
  /** Bound as f32: elements are stored one by one. */
  readonly to: BufferRef;
  readonly rows: readonly (readonly Expr[])[];
  /** Units (vec4, or f32 where D is no multiple of 4) of a row. */
  readonly count: number;
  /** The tile's first row, and how many rows there are in all. */
  readonly first: Expr;
  readonly length: Expr;
  /** Where a row starts, in units. */
  readonly start: (index: Expr) => Expr;
}

/** Turns rows back and stores them, where pairs lie in different lanes. They pass through workgroup memory, so that a loop does what would be much code unrolled. */
export function storeTurned(frame: Frame, { angles, to, rows, count, first, length, start }: Spread): void {
  const { b, spec, schedule } = frame;
  const { headDim } = spec;
  const width = isWide(spec) ? 4 : 1;
  const whole = b.shared('whole', 'f32', rows.length * headDim);
  rows.forEach((row, r) => {
    row.forEach((value, u) => {
      const unit = laneUnit(frame, u);
      const at = (i: number): Expr => add(mul(unit, u32(width)), u32(r * headDim + i));
      const put = (): void => {
        for (let i = 0; i < width; i++) whole.setAt(at(i), width === 1 ? value : component(value, i));
      };
      if ((u + 1) * schedule.lanes <= count) put();
      else b.if(lt(unit, u32(count)), put);
    });
  });
  b.barrier();
  b.for('turned', u32(0), hiddenBound(rows.length), u32(1), (r) => {
    const index = b.let('index', add(first, r));
    b.if(lt(index, length), () => {
      const table = anglesStart(frame, shifted(frame, index), headDim);
      const from = b.let('from', mul(r, u32(headDim)));
      const into = b.let('into', mul(start(index), u32(width)));
      b.for('e', builtin('subgroupInvocation'), hiddenBound(headDim), u32(schedule.lanes), (e) => {
        const pair = b.let('pair', rem(e, u32(headDim / 2)));
        const sin = b.let('sin', angles.load(add(table, add(pair, u32(headDim / 2)))));
        const own = mul(whole.at(add(from, e)), angles.load(add(table, pair)));
        const other = whole.at(add(from, rem(add(e, u32(headDim / 2)), u32(headDim))));
        to.store(add(into, e), add(own, mul(other, select(neg(sin), sin, lt(e, u32(headDim / 2))))));
      });
    });
  });
}

/** @file The attention kernels for one subgroup a workgroup: scores with lanes along the walked side, sums with lanes along D.
 *
 * All three have one shape: for a tile of rows, walk over the other side in steps of a subgroup; dot products of row and walked
 * vectors give weights, and weighted walked vectors are summed up. Forward walks keys (q·k; p v), dQ walks keys
 * (q·k, dout·v; ds k), dK/dV walks queries (k·q, v·dout; p dout, ds q). */

import {
  attentionFrame,
  capped,
  capSlope,
  type Frame,
  forwardInputs,
  gradientInputs,
  hiddenBound,
  keyRange,
  LOWEST,
  queryRange,
  rowStart,
  rowType,
  scalarIndex,
  shifted,
  visible,
} from './attentionFrame.ts';
import { angleBuffer, laneUnit, turnedUnits } from './attentionRotation.ts';
import type { AttentionSchedule, AttentionSpec } from './attentionTypes.ts';
import type { BufferRef, Variable } from './builder.ts';
import { add, and, bin, builtin, call, div, eq, f32, lt, max, min, mul, select, splat, sub, u32 } from './expr.ts';
import type { Expr, Kernel } from './ir.ts';

/** What differs between the kernels. */
interface Walk {
  /** Heads, kv or query, of the walked side's tensors and of the rows'. */
  readonly heads: { readonly rows: number; readonly walked: number };
  readonly length: { readonly rows: Expr; readonly walked: Expr };
  readonly head: { readonly rows: Expr; readonly walked: Expr };
  /** Pairs of (row tensor, walked tensor) whose dot products are the scores. */
  readonly dots: readonly (readonly [BufferRef, BufferRef])[];
  /** The walked tensors that are summed up, one a weight. */
  readonly summed: readonly BufferRef[];
}

interface Sums {
  /** [row][weight][chunk of the lane] */
  readonly of: readonly (readonly (readonly Variable[])[])[];
}

const mulUnit = (value: Expr, by: Expr): Expr => (value.type === 'f32' ? mul(value, by) : mul(value, splat('vec4f', by)));

/** Units (vec4 or f32) of a row, and how many of them each lane sums up. */
function units({ spec, schedule }: Frame): { type: 'vec4f' | 'f32'; count: number; perLane: number } {
  const wide = spec.headDim % 4 === 0;
  const count = wide ? spec.headDim / 4 : spec.headDim;
  return { type: wide ? 'vec4f' : 'f32', count, perLane: Math.ceil(count / schedule.lanes) };
}

function declareSums(frame: Frame, weights: number): Sums {
  const { type, perLane } = units(frame);
  const zero = type === 'f32' ? f32(0) : splat('vec4f', f32(0));
  return {
    of: Array.from({ length: frame.schedule.rows }, (_, r) =>
      Array.from({ length: weights }, (_w, w) => Array.from({ length: perLane }, (_u, u) => frame.b.var(`sum_${r}_${w}_${u}`, type, zero))),
    ),
  };
}

/**
 * Walks [from, to). `weigh` gives row r's weights of the lane's own walked index from its dot products; for lanes past
 * the end (`inside` false) they must be 0.
 */
function walk(
  frame: Frame,
  w: Walk,
  rows: readonly Expr[],
  sums: Sums,
  from: Expr,
  to: Expr,
  weigh: (own: Expr, inside: Expr, dots: readonly (readonly Expr[])[]) => readonly (readonly Expr[])[],
): void {
  const { b, schedule } = frame;
  const { type, count, perLane } = units(frame);
  const starts = rows.map((row) => rowStart(frame, 'row_start', w.length.rows, w.heads.rows, row, w.head.rows));
  const chunk = Array.from({ length: perLane }, (_, u) => {
    const unit = laneUnit(frame, u);
    return b.let('unit', (u + 1) * schedule.lanes <= count ? unit : min(unit, u32(count - 1)));
  });
  b.for('step', from, to, u32(schedule.lanes), (step) => {
    const own = b.let('own', add(step, builtin('subgroupInvocation')));
    const last = b.let('last', sub(to, u32(1)));
    const ownStart = rowStart(frame, 'own_start', w.length.walked, w.heads.walked, b.let('own_in', min(own, last)), w.head.walked);
    const dots = rows.map(() => w.dots.map(() => b.var('dot', 'f32', f32(0))));
    b.for('d', u32(0), hiddenBound(count), u32(1), (d) => {
      const walked = w.dots.map(([, tensor]) => b.let('walked', tensor.load(add(ownStart, d))));
      starts.forEach((start, r) => {
        w.dots.forEach(([tensor], i) => {
          const [left, right, sum] = [tensor.load(add(start, d)), walked[i], dots[r]?.[i]];
          if (right !== undefined && sum !== undefined) sum.set(add(sum.get, type === 'f32' ? mul(left, right) : call('dot', left, right)));
        });
      });
    });
    const weights = weigh(
      own,
      b.let('inside', lt(own, to)),
      dots.map((row) => row.map((dot) => dot.get)),
    );
    const present = b.let('present', min(hiddenBound(schedule.lanes), sub(to, step)));
    b.for('other', u32(0), present, u32(1), (other) => {
      const start = rowStart(frame, 'other_start', w.length.walked, w.heads.walked, add(step, other), w.head.walked);
      const values = w.summed.map((tensor) => chunk.map((unit) => b.let('value', tensor.load(add(start, unit)))));
      sums.of.forEach((ofRow, r) => {
        ofRow.forEach((ofWeight, i) => {
          const weight = b.let('weight', call('subgroupShuffle', weights[r]?.[i] ?? f32(0), other));
          ofWeight.forEach((sum, u) => {
            sum.set(add(sum.get, mulUnit(values[i]?.[u] ?? sum.get, weight)));
          });
        });
      });
    });
  });
}

/** Every row's sums of weight i, times `by`. */
function scaledSums(sums: Sums, i: number, by: Expr): Expr[][] {
  return sums.of.map((row) => (row[i] ?? []).map((sum) => mulUnit(sum.get, by)));
}

/** Stores a row's units. */
function store(frame: Frame, to: BufferRef, start: Expr, row: readonly Expr[]): void {
  const { count } = units(frame);
  row.forEach((value, u) => {
    const unit = laneUnit(frame, u);
    const write = (): void => to.store(add(start, unit), value);
    if ((u + 1) * frame.schedule.lanes <= count) write();
    else frame.b.if(lt(unit, u32(count)), write);
  });
}

/** The tile's first row and its rows, kept inside `length`. */
function tileRows(frame: Frame, length: Expr): { first: Expr; last: Expr; index: Expr[]; inside: Expr[] } {
  const { b, schedule } = frame;
  const first = b.let('tile', mul(builtin('workgroupX'), u32(schedule.rows)));
  const end = b.let('end_row', sub(length, u32(1)));
  const index = Array.from({ length: schedule.rows }, (_, r) => add(first, u32(r)));
  return {
    first,
    index,
    last: b.let('last_row', min(add(first, u32(schedule.rows - 1)), end)),
    inside: index.map((row, r) => (r === 0 ? row : b.let('row', min(row, end)))),
  };
}

function kvHeadOf({ b, spec }: Frame, head: Expr): Expr {
  return b.let('kv_head', div(head, u32(spec.heads / spec.kvHeads)));
}

function sees(frame: Frame, at: Expr, key: Expr, segments: { q: Expr; k: Expr } | null, inside: Expr): Expr {
  const condition = visible(frame, at, key, segments);
  return condition === null ? inside : frame.b.let('seen', and(inside, condition));
}

export function subgroupForward(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys, batch } = frame;
  const { q, k, v, seg } = forwardInputs(frame);
  const out = b.buffer('out', rowType(spec), 'read_write');
  const lse = b.buffer('lse', 'f32', 'read_write');
  const head = builtin('workgroupY');
  const rows = tileRows(frame, queries);
  const sums = declareSums(frame, 1);
  const state = rows.inside.map((row) => ({
    at: b.let('at', shifted(frame, row)),
    segment: seg === null ? null : b.let('seg_q', seg.q.load(add(mul(batch, queries), row))),
    top: b.var('top', 'f32', f32(LOWEST)),
    sum: b.var('total', 'f32', f32(0)),
  }));
  const w: Walk = {
    heads: { rows: spec.heads, walked: spec.kvHeads },
    length: { rows: queries, walked: keys },
    head: { rows: head, walked: kvHeadOf(frame, head) },
    dots: [[q, k]],
    summed: [v],
  };
  const [from, to] = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, from, to, (own, inside, dots) => {
    const segK = seg === null ? null : b.let('seg_k', seg.k.load(add(mul(batch, keys), b.let('key_in', min(own, sub(to, u32(1)))))));
    return state.map((row, r) => {
      const seen = sees(frame, row.at, own, row.segment === null || segK === null ? null : { q: row.segment, k: segK }, inside);
      const score = b.let('score', capped(frame, b.let('scaled', mul(dots[r]?.[0] ?? f32(0), f32(spec.scale)))));
      const top = b.let('new_top', max(row.top.get, call('subgroupMax', select(f32(LOWEST), score, seen))));
      const shrink = b.let('shrink', call('exp', sub(row.top.get, top)));
      const p = b.let('p', select(f32(0), call('exp', sub(score, top)), seen));
      row.top.set(top);
      row.sum.set(add(mul(row.sum.get, shrink), p));
      for (const sum of sums.of[r]?.[0] ?? []) sum.set(mulUnit(sum.get, shrink));
      return [p];
    });
  });
  state.forEach((row, r) => {
    const total = b.let('sum_row', call('subgroupAdd', row.sum.get));
    const any = b.let('any', bin('>', total, f32(0)));
    const index = rows.index[r] ?? u32(0);
    b.if(lt(index, queries), () => {
      const start = rowStart(frame, 'out_start', queries, spec.heads, index, head);
      const inverse = b.let('inverse', select(f32(0), div(f32(1), total), any));
      store(
        frame,
        out,
        start,
        (sums.of[r]?.[0] ?? []).map((sum) => mulUnit(sum.get, inverse)),
      );
      b.if(eq(builtin('subgroupInvocation'), u32(0)), () =>
        lse.store(scalarIndex(frame, head, index), select(f32(0), add(row.top.get, call('log', total)), any)),
      );
    });
  });
  return b.finish([
    { of: spec.dims.queries.of, per: schedule.rows },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

/** The weight p of a pair and the gradient ds of its score before scaling, both 0 where the key is not seen. */
function pairWeights(frame: Frame, dot: Expr, dp: Expr, lse: Expr, delta: Expr, seen: Expr): { p: Expr; ds: Expr } {
  const { b, spec } = frame;
  const score = b.let('score', capped(frame, b.let('scaled', mul(dot, f32(spec.scale)))));
  const p = b.let('p', select(f32(0), call('exp', sub(score, lse)), seen));
  const slope = capSlope(frame, score);
  const ds = mul(p, sub(dp, delta));
  return { p, ds: b.let('ds', slope === null ? ds : mul(ds, slope)) };
}

export function subgroupQueryGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const dq = b.buffer('dq', rowType(spec), 'read_write');
  const head = builtin('workgroupY');
  const rows = tileRows(frame, queries);
  const sums = declareSums(frame, 1);
  const state = rows.inside.map((row) => ({
    at: b.let('at', shifted(frame, row)),
    ...from.scalars(head, row),
  }));
  const w: Walk = {
    heads: { rows: spec.heads, walked: spec.kvHeads },
    length: { rows: queries, walked: keys },
    head: { rows: head, walked: kvHeadOf(frame, head) },
    dots: [
      [from.q, from.k],
      [from.dout, from.v],
    ],
    summed: [from.k],
  };
  const [first, end] = keyRange(frame, rows.first, rows.last);
  walk(frame, w, rows.inside, sums, first, end, (own, inside, dots) => {
    const key = b.let('key_in', min(own, sub(end, u32(1))));
    const segK = from.segment(key);
    return state.map((row, r) => {
      const seen = sees(frame, row.at, own, row.segment === null || segK === null ? null : { q: row.segment, k: segK }, inside);
      return [pairWeights(frame, dots[r]?.[0] ?? f32(0), dots[r]?.[1] ?? f32(0), row.lse, row.delta, seen).ds];
    });
  });
  const turned = turnedUnits(
    frame,
    angles,
    state.map((row) => row.at),
    scaledSums(sums, 0, f32(spec.scale)),
    units(frame).count,
  );
  rows.index.forEach((index, r) => {
    b.if(lt(index, queries), () => {
      store(frame, dq, rowStart(frame, 'dq_start', queries, spec.heads, index, head), turned[r] ?? []);
    });
  });
  return b.finish([
    { of: spec.dims.queries.of, per: schedule.rows },
    { of: [spec.heads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

export function subgroupKeyGradient(spec: AttentionSpec, schedule: AttentionSchedule): Kernel {
  const frame = attentionFrame(spec.name, spec, schedule);
  const { b, queries, keys } = frame;
  const from = gradientInputs(frame);
  const angles = angleBuffer(frame);
  const outputs = [b.buffer('dk', rowType(spec), 'read_write'), b.buffer('dv', rowType(spec), 'read_write')];
  const kvHead = builtin('workgroupY');
  const rows = tileRows(frame, keys);
  const sums = declareSums(frame, 2);
  const segK = rows.inside.map((row) => from.segment(row));
  const [first, end] = queryRange(frame, rows.first, rows.last);
  const group = spec.heads / spec.kvHeads;
  const firstHead = b.let('first_head', mul(kvHead, u32(group)));
  b.for('head', firstHead, add(firstHead, u32(group)), u32(1), (head) => {
    const w: Walk = {
      heads: { rows: spec.kvHeads, walked: spec.heads },
      length: { rows: keys, walked: queries },
      head: { rows: kvHead, walked: head },
      dots: [
        [from.k, from.q],
        [from.v, from.dout],
      ],
      summed: [from.q, from.dout],
    };
    walk(frame, w, rows.inside, sums, first, end, (own, inside, dots) => {
      const query = b.let('query_in', min(own, sub(end, u32(1))));
      const scalars = from.scalars(head, query);
      const at = b.let('at', shifted(frame, query));
      return rows.inside.map((key, r) => {
        const segment = segK[r] ?? null;
        const seen = sees(frame, at, key, scalars.segment === null || segment === null ? null : { q: scalars.segment, k: segment }, inside);
        const { p, ds } = pairWeights(frame, dots[r]?.[0] ?? f32(0), dots[r]?.[1] ?? f32(0), scalars.lse, scalars.delta, seen);
        return [ds, p];
      });
    });
  });
  const at = rows.inside.map((row) => shifted(frame, row));
  const gradients = [turnedUnits(frame, angles, at, scaledSums(sums, 0, f32(spec.scale)), units(frame).count), scaledSums(sums, 1, f32(1))];
  rows.index.forEach((index, r) => {
    b.if(lt(index, keys), () => {
      const start = rowStart(frame, 'dk_start', keys, spec.kvHeads, index, kvHead);
      outputs.forEach((to, i) => {
        store(frame, to, start, gradients[i]?.[r] ?? []);
      });
    });
  });
  return b.finish([
    { of: spec.dims.keys.of, per: schedule.rows },
    { of: [spec.kvHeads], per: 1 },
    { of: spec.dims.batch.of, per: 1 },
  ]);
}

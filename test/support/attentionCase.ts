/** @file Attention cases: specs, inputs, and forward and backward by plain loops in f64. */

import type { AttentionSpec } from '../../src/codegen/kernel/attention/spec.ts';
import { param } from '../../src/codegen/kernel/expr.ts';

export interface AttentionCase {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly softCap?: number;
  /** `shared`: keys have those of the queries. */
  readonly segments?: boolean | 'shared';
  readonly position?: number;
  /** q and k are rotated: gradients are turned back. */
  readonly rotated?: boolean;
}

/** Rows of the table of angles: fewer than the largest case's tokens, so that it is clamped. */
const POSITIONS = 24;

/** Dimension words of the specs below: B, T, S, then the position. */
export const attentionDims = (c: AttentionCase): Record<string, number> => ({ B: c.batch, T: c.queries, S: c.keys });
export const attentionParams = (c: AttentionCase): Uint32Array => Uint32Array.from([c.batch, c.queries, c.keys, c.position ?? 0]);

/** The spec of a case, its sizes run-time symbols unless `fixed`. */
export function attentionSpec(c: AttentionCase, fixed = false): AttentionSpec {
  return {
    name: 'attention',
    dims: fixed
      ? { batch: { of: [c.batch] }, queries: { of: [c.queries] }, keys: { of: [c.keys] } }
      : { batch: { of: ['B'] }, queries: { of: ['T'] }, keys: { of: ['S'] } },
    heads: c.heads,
    kvHeads: c.kvHeads,
    headDim: c.headDim,
    scale: 1 / Math.sqrt(c.headDim),
    causal: c.causal ?? false,
    window: c.window ?? null,
    softCap: c.softCap ?? null,
    segments: c.segments ?? false,
    rotation: c.rotated ? { positions: POSITIONS } : null,
    position: c.position === undefined ? null : param(3, 'position'),
    dim: (symbol) => param('BTS'.indexOf(symbol), symbol),
  };
}

export interface AttentionData {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly dout: Float32Array;
  readonly segQ: Int32Array;
  readonly segK: Int32Array;
  readonly angles: Float32Array;
}

/** Inputs by a counter-based generator; segment ids 0 (padding) to 2, runs like packed documents. */
export function attentionData(c: AttentionCase, seed = 1): AttentionData {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const floats = (length: number): Float32Array => Float32Array.from({ length }, () => 3 * next());
  const runs = (length: number): Int32Array =>
    Int32Array.from({ length: c.batch * length }, (_, i) => {
      const at = (i % length) / length;
      return at < 0.4 ? 1 : at < 0.8 ? 2 : 0;
    });
  const rowsQ = c.batch * c.queries * c.heads * c.headDim;
  const rowsK = c.batch * c.keys * c.kvHeads * c.headDim;
  return {
    q: floats(rowsQ),
    k: floats(rowsK),
    v: floats(rowsK),
    dout: floats(rowsQ),
    segQ: runs(c.queries),
    segK: runs(c.keys),
    angles: floats(POSITIONS * c.headDim),
  };
}

export interface AttentionResult {
  readonly out: Float64Array;
  readonly lse: Float64Array;
  /** (lse, delta, segment) of each query. */
  readonly stats: Float64Array;
  readonly dq: Float64Array;
  readonly dk: Float64Array;
  readonly dv: Float64Array;
}

/** Everything the kernels compute, in f64. */
export function attentionReference(c: AttentionCase, data: AttentionData): AttentionResult {
  const { batch, queries: t, keys: s, heads, kvHeads, headDim: d } = c;
  const scale = 1 / Math.sqrt(d);
  const result: AttentionResult = {
    out: new Float64Array(data.q.length),
    lse: new Float64Array(batch * heads * t),
    stats: new Float64Array(3 * batch * heads * t),
    dq: new Float64Array(data.q.length),
    dk: new Float64Array(data.k.length),
    dv: new Float64Array(data.v.length),
  };
  const dot = (a: Float32Array | Float64Array, from: number, b: Float32Array | Float64Array, to: number): number => {
    let sum = 0;
    for (let x = 0; x < d; x++) sum += (a[from + x] as number) * (b[to + x] as number);
    return sum;
  };
  const axpy = (to: Float64Array, at: number, by: number, from: Float32Array, start: number): void => {
    for (let x = 0; x < d; x++) to[at + x] = (to[at + x] as number) + by * (from[start + x] as number);
  };
  for (let z = 0; z < batch; z++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < t; i++) {
        const row = ((z * t + i) * heads + h) * d;
        const scalar = (z * heads + h) * t + i;
        if (c.segments) result.stats[3 * scalar + 2] = data.segQ[z * t + i] ?? 0;
        const keyRow = (j: number): number => ((z * s + j) * kvHeads + Math.floor((h * kvHeads) / heads)) * d;
        const at = i + (c.position ?? 0);
        const seen = Array.from({ length: s }, (_, j) => j).filter(
          (j) =>
            (!c.causal || j <= at) &&
            (c.window === undefined || at - j < c.window) &&
            (!c.segments || (data.segQ[z * t + i] === data.segK[z * s + j] && data.segQ[z * t + i] !== 0)),
        );
        if (seen.length === 0) continue;
        const scores = seen.map((j) => {
          const score = scale * dot(data.q, row, data.k, keyRow(j));
          return c.softCap === undefined ? score : c.softCap * Math.tanh(score / c.softCap);
        });
        const top = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - top), 0);
        const weights = scores.map((score) => Math.exp(score - top) / total);
        for (const [n, j] of seen.entries()) axpy(result.out, row, weights[n] as number, data.v, keyRow(j));
        result.lse[scalar] = top + Math.log(total);
        const delta = dot(data.dout, row, result.out, row);
        result.stats[3 * scalar] = result.lse[scalar] ?? 0;
        result.stats[3 * scalar + 1] = delta;
        seen.forEach((j, n) => {
          const p = weights[n] as number;
          const slope = c.softCap === undefined ? 1 : 1 - ((scores[n] as number) / c.softCap) ** 2;
          const ds = p * (dot(data.dout, row, data.v, keyRow(j)) - delta) * slope * scale;
          axpy(result.dq, row, ds, data.k, keyRow(j));
          axpy(result.dk, keyRow(j), ds, data.q, row);
          axpy(result.dv, keyRow(j), p, data.dout, row);
        });
      }
    }
  }
  if (c.rotated) {
    turnBack(c, result.dq, t, heads, data.angles);
    turnBack(c, result.dk, s, kvHeads, data.angles);
  }
  return result;
}

/** Rotates rows [batch, length, heads, D] back in place. */
function turnBack(c: AttentionCase, rows: Float64Array, length: number, heads: number, angles: Float32Array): void {
  const half = c.headDim / 2;
  for (let row = 0; row < rows.length / c.headDim; row++) {
    const at = Math.min(POSITIONS - 1, (Math.floor(row / heads) % length) + (c.position ?? 0)) * c.headDim;
    for (let x = 0; x < half; x++) {
      const [cos, sin] = [angles[at + x] as number, angles[at + x + half] as number];
      const [low, high] = [row * c.headDim + x, row * c.headDim + x + half];
      const [a, b] = [rows[low] as number, rows[high] as number];
      rows[low] = a * cos + b * sin;
      rows[high] = b * cos - a * sin;
    }
  }
}

/** @file The walk along k of lanes that keep operands and sums in registers: what `register` and `subgroup` have in common. */

import { at } from '../../../errors.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, call, max, mul, rem, splat, sub, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy } from '../size.ts';
import { type Accumulators, allAccumulators } from './accumulators.ts';
import type { TileCut } from './kind.ts';
import { type Indices, type KStep, type Loaded, load, operandIndices } from './operands.ts';
import { heldOf, type LaneTile, type TileLoop, type TileOperand } from './tile.ts';

/** How a lane gets A, and how it adds products up: see `ADDING` of ./fields.ts. */
export interface LaneWalk {
  readonly loadA: (operand: TileOperand, index: Indices, step: KStep) => Loaded;
  readonly fold: number;
  readonly fma: boolean;
  /** Whether `dot` multiplies operands that are both loaded along k. */
  readonly dots: boolean;
}

/** Walks all loops; gives the sums of every result. */
export function walkLanes(b: KernelBuilder, tile: LaneTile, walk: LaneWalk): readonly Accumulators[] {
  const indices = operandIndices(b, tile);
  const vector = tile.loops.every((loop) => loop.b.every(({ mode }) => mode === 'mn'));
  const results = allAccumulators(b, tile, vector);
  for (const loop of tile.loops)
    steps(b, tile, loop, (step) => {
      const left = new Map(loop.a.map((operand) => [operand, walk.loadA(operand, indices(operand), step)]));
      const right = new Map(loop.b.map((operand) => [operand, load(b, tile, operand, indices(operand), step)]));
      for (const { a, b: other, into } of loop.products)
        multiply(heldOf(left, a), heldOf(right, other), { sums: at(results, into), cut: tile.cut, walk, count: step.count });
    });
  return results;
}

/** The steps of a loop: whole ones, then the rest one k at a time. */
function steps(b: KernelBuilder, { cut, lane }: LaneTile, loop: TileLoop, body: (step: KStep) => void): void {
  const { depth, kLanes, kGroups } = cut;
  const exact = dividesBy(loop.size, depth);
  const end = exact ? loop.to : b.let('main_k', sub(loop.to, rem(loop.to, u32(depth))));
  // A share without any k starts behind the last whole step.
  const rest = kGroups > 1 ? max(end, loop.from) : end;
  b.for('k', add(loop.from, mul(lane.k, u32(depth))), end, u32(depth * kLanes), (k) => body({ k, count: depth, tail: false }));
  if (!exact) b.for('k', add(rest, lane.k), loop.to, u32(kLanes), (k) => body({ k, count: 1, tail: true }));
}

interface Multiplying {
  readonly sums: Accumulators;
  readonly cut: TileCut;
  readonly walk: LaneWalk;
  /** k of the step. */
  readonly count: number;
}

/** Adds the products of a step to the sums. */
function multiply(a: Loaded, b: Loaded, { sums, cut, walk, count }: Multiplying): void {
  const dots = walk.dots && a.mode === 'k' && b.mode === 'k';
  const width = dots ? 4 : 1;
  const factors = (r: number, c: number, kk: number): readonly [Expr, Expr] =>
    dots ? [a.vec(r, kk), b.vec(c, kk)] : sums.vector ? [splat('vec4f', a.at(r, kk)), b.vec(c, kk)] : [a.at(r, kk), b.at(c, kk)];
  const total = (sum: Expr, terms: readonly (readonly [Expr, Expr])[]): Expr => {
    if (walk.fma && !dots) return terms.reduce((so, [x, y]) => call('fma', x, y, so), sum);
    return add(sum, pairwise(terms.map(([x, y]) => (dots ? call('dot', x, y) : mul(x, y)))));
  };
  const together = Math.max(width, Math.min(walk.fold, count));
  for (let from = 0; from < count; from += together)
    for (let r = 0; r < cut.rows; r++)
      for (let c = 0; c < cut.cols; c += sums.vector ? 4 : 1) {
        const terms: (readonly [Expr, Expr])[] = [];
        for (let kk = from; kk < Math.min(from + together, count); kk += width) terms.push(factors(r, c, kk));
        sums.set(r, c, total(sums.at(r, c), terms));
      }
}

/** The sum of terms as a balanced tree. */
function pairwise(terms: readonly Expr[]): Expr {
  if (terms.length === 1) return at(terms, 0);
  const half = Math.ceil(terms.length / 2);
  return add(pairwise(terms.slice(0, half)), pairwise(terms.slice(half)));
}

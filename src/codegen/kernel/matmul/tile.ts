/** @file What every matmul kernel shares: where its workgroup's and its lanes' tiles lie, what they walk along k, how operands are read. */

import { at, invariant } from '../../../errors.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, builtin, div, min, mul, rem, sub, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy, type Size, sizeExpr } from '../size.ts';
import type { TileCut } from './kind.ts';
import type { MatmulLoop, MatmulPort, MatmulSpec } from './spec.ts';

/** How an operand is loaded: four along k, four along its own axis, or one by one. */
export type LoadMode = 'k' | 'mn' | 'scalar';

/** An operand of a loop: its port, and how it is read. */
export interface TileOperand {
  readonly which: 'a' | 'b';
  readonly port: MatmulPort;
  readonly mode: LoadMode;
}

/** A loop along k with each of its operands once. */
export interface TileLoop {
  readonly size: Size;
  readonly k: Expr;
  /** Where this workgroup's share of k starts and ends. */
  readonly from: Expr;
  readonly to: Expr;
  readonly a: readonly TileOperand[];
  readonly b: readonly TileOperand[];
  readonly products: readonly { readonly a: TileOperand; readonly b: TileOperand; readonly into: number }[];
}

/** Something for each operand of a tile, such as the expressions that were loaded of it. */
export type ByOperand<T> = ReadonlyMap<TileOperand, T>;

/** Returns the entry of an operand. */
export function heldOf<T>(held: ByOperand<T>, operand: TileOperand): T {
  const found = held.get(operand);
  invariant(found !== undefined, 'the operands of a product are loaded before it');
  return found;
}

/** Which of a workgroup's lanes this one is along each axis. A matmul by matrices has subgroups in their place. */
export interface LanePlace {
  readonly n: Expr;
  readonly m: Expr;
  readonly k: Expr;
}

/** The tile of a workgroup. */
export interface Tile {
  readonly spec: MatmulSpec;
  readonly cut: TileCut;
  readonly loops: readonly TileLoop[];
  readonly size: { readonly m: Expr; readonly n: Expr };
  readonly batch: Expr;
  readonly lane: LanePlace;
  /** Its first row and column. */
  readonly tileM: Expr;
  readonly tileN: Expr;
}

/** A tile whose lanes each compute rows × cols elements. */
export interface LaneTile extends Tile {
  /** Index of the lane's row r and column c, unclamped. */
  readonly row: (r: number) => Expr;
  readonly col: (c: number) => Expr;
  /** The same of a row known at run time. */
  readonly rowAt: (r: Expr) => Expr;
}

/** Declares the tile's indices. @param placeOf declares which lane this is */
export function tileContext(b: KernelBuilder, spec: MatmulSpec, cut: TileCut, placeOf: () => LanePlace): Tile {
  const size = { m: b.let('size_m', sizeExpr(spec.m, spec.dim)), n: b.let('size_n', sizeExpr(spec.n, spec.dim)) };
  const axis = batchAxis(b, spec, cut);
  const loops = spec.loops.map((loop) => tileLoop(b, spec, cut, loop, axis.share));
  const lane = placeOf();
  const tileM = b.let('tile_m', mul(builtin('workgroupY'), u32(cut.lanes[1] * cut.rows)));
  const tileN = b.let('tile_n', mul(builtin('workgroupX'), u32(cut.lanes[0] * cut.cols)));
  return { spec, cut, loops, size, lane, tileM, tileN, batch: axis.batch() };
}

/** What the workgroups along z stand for: the batch, and shares of k, the batch innermost. */
function batchAxis(b: KernelBuilder, spec: MatmulSpec, { kGroups }: TileCut): { readonly share: Expr; batch(): Expr } {
  const z = builtin('workgroupZ');
  if (spec.batch.of.every((factor) => factor === 1)) return { share: z, batch: () => u32(0) };
  if (kGroups === 1) return { share: z, batch: () => z };
  const batches = b.let('batches', sizeExpr(spec.batch, spec.dim));
  return { share: b.let('split', div(z, batches)), batch: () => b.let('batch', rem(z, batches)) };
}

function tileLoop(b: KernelBuilder, spec: MatmulSpec, cut: TileCut, { k, products }: MatmulLoop, share: Expr): TileLoop {
  const range = shareOf(b, spec, cut, k, share);
  const operands = new Map<string, Map<MatmulPort, TileOperand>>([
    ['a', new Map()],
    ['b', new Map()],
  ]);
  const operand = (which: 'a' | 'b', port: MatmulPort): TileOperand => {
    const [own, per] = which === 'a' ? [spec.m, cut.rows] : [spec.n, cut.cols];
    const made = operands.get(which)?.get(port) ?? { which, port, mode: loadMode(port, cut, k, own, per) };
    operands.get(which)?.set(port, made);
    return made;
  };
  const made = products.map((p) => ({ a: operand('a', p.a), b: operand('b', p.b), into: p.into }));
  return { size: k, ...range, a: [...new Set(made.map((p) => p.a))], b: [...new Set(made.map((p) => p.b))], products: made };
}

/** Declares a size along k, and where a workgroup's share of it starts and ends. Shares are whole steps, so that only the last may have a rest. */
function shareOf(b: KernelBuilder, spec: MatmulSpec, { kGroups, depth, kLanes }: TileCut, size: Size, share: Expr): Pick<TileLoop, 'k' | 'from' | 'to'> {
  const k = b.let('size_k', sizeExpr(size, spec.dim));
  if (kGroups === 1) return { k, from: u32(0), to: k };
  const step = depth * kLanes;
  const each = b.let('share', mul(div(add(k, u32(kGroups * step - 1)), u32(kGroups * step)), u32(step)));
  const from = b.let('from_k', min(mul(share, each), k));
  return { k, from, to: b.let('to_k', min(add(from, each), k)) };
}

function loadMode(port: MatmulPort, { wide, depth }: TileCut, k: Size, own: Size, per: number): LoadMode {
  if (!wide || port.vectorAxis === null) return 'scalar';
  if (port.vectorAxis === 'k') return depth % 4 === 0 && dividesBy(k, 4) ? 'k' : 'scalar';
  return per % 4 === 0 && dividesBy(own, 4) ? 'mn' : 'scalar';
}

/** Neighbours that one lane computes side by side. They are four where four divide its rows or columns, so that they can be one vec4. Lanes interleave theirs. */
const neighbours = (per: number): number => (per % 4 === 0 ? 4 : 1);

/** The tile with the indices of each lane's rows and columns. */
export function laneTile(b: KernelBuilder, tile: Tile): LaneTile {
  const { cut, lane, tileM, tileN } = tile;
  const { lanes, rows, cols } = cut;
  const group = neighbours(rows);
  const first = add(tileM, mul(lane.m, u32(group)));
  const rowAt = (r: Expr): Expr => (lanes[1] === 1 ? add(tileM, r) : add(add(first, mul(div(r, u32(group)), u32(lanes[1] * group))), rem(r, u32(group))));
  const row = laneIndices(b, 'm', { start: tileM, lane: lane.m, lanes: lanes[1], per: rows });
  const col = laneIndices(b, 'n', { start: tileN, lane: lane.n, lanes: lanes[0], per: cols });
  return { ...tile, row, col, rowAt };
}

interface Along {
  readonly start: Expr;
  readonly lane: Expr;
  readonly lanes: number;
  readonly per: number;
}

/** Declares where a lane's groups of neighbours start along an axis, and gives the index of its i-th element. */
function laneIndices(b: KernelBuilder, name: string, { start, lane, lanes, per }: Along): (i: number) => Expr {
  const group = neighbours(per);
  const starts = Array.from({ length: per / group }, (_, g) => b.let(`${name}${g * group}`, add(add(start, mul(lane, u32(group))), u32(g * lanes * group))));
  return (i) => add(at(starts, Math.floor(i / group)), u32(i % group));
}

/** `index`, kept below `size` for a load of `width` elements unless tiles cover the size exactly. */
export function clamped(index: Expr, exact: boolean, size: Expr, width: 1 | 4): Expr {
  return exact ? index : min(index, sub(size, u32(width)));
}

/** @file Operands of a step along k in a lane's registers. */

import { at, invariant } from '../../../errors.ts';
import type { KernelBuilder } from '../builder.ts';
import { add, component, u32 } from '../expr.ts';
import type { Expr } from '../ir.ts';
import { dividesBy } from '../size.ts';
import { clamped, type LaneTile, type LoadMode, type Tile, type TileOperand } from './tile.ts';

/** Four-wide or scalar values of one operand for a step of k: `at(i, kk)` is element (i, k + kk). */
export interface Loaded {
  readonly mode: LoadMode;
  /** In mode k: the vec4 of row or column i for the four k from kk on. In mode mn: the vec4 of the four rows or columns from i on, a multiple of 4, at kk. */
  vec(i: number, kk: number): Expr;
  at(i: number, kk: number): Expr;
}

/** Values as they were loaded: [along the own axis][along k], in steps of four along the axis that is loaded four wide. */
export function loaded(mode: LoadMode, values: readonly (readonly Expr[])[]): Loaded {
  const get = (i: number, kk: number): Expr => at(at(values, i), kk);
  const wide = (i: number, kk: number): Expr => (mode === 'k' ? get(i, Math.floor(kk / 4)) : get(Math.floor(i / 4), kk));
  return {
    mode,
    vec: wide,
    at: (i, kk) => (mode === 'scalar' ? get(i, kk) : component(wide(i, kk), mode === 'k' ? kk % 4 : i % 4)),
  };
}

/** The clamped index of each of an operand's rows or columns, in mode mn of every fourth. */
export type Indices = (i: number) => Expr;

/** Declares the indices of all operands. Those of one side and mode share them. */
export function operandIndices(b: KernelBuilder, tile: LaneTile): (operand: TileOperand) => Indices {
  const key = ({ which, mode }: TileOperand): string => `${which}${mode === 'mn'}`;
  const made = new Map<string, Indices>();
  for (const loop of tile.loops) for (const operand of [...loop.a, ...loop.b]) if (!made.has(key(operand))) made.set(key(operand), indicesOf(b, tile, operand));
  return (operand) => {
    const indices = made.get(key(operand));
    invariant(indices !== undefined, `indices of ${operand.which} are declared before the loops that use them`);
    return indices;
  };
}

function indicesOf(b: KernelBuilder, tile: LaneTile, { which, mode }: TileOperand): Indices {
  const { cut, spec, size } = tile;
  const [count, across, index, own, limit] =
    which === 'a' ? ([cut.rows, cut.lanes[1], tile.row, spec.m, size.m] as const) : ([cut.cols, cut.lanes[0], tile.col, spec.n, size.n] as const);
  const width = mode === 'mn' ? 4 : 1;
  const exact = dividesBy(own, count * across);
  const kept = Array.from({ length: Math.ceil(count / width) }, (_, j) => {
    const i = j * width;
    return exact ? index(i) : b.let(`${which}_index${i}`, clamped(index(i), false, limit, width));
  });
  return (i) => at(kept, i / width);
}

/** A step along k: its first k, and how many there are. In a tail k may be odd, so that nothing is loaded four-wide along k. */
export interface KStep {
  readonly k: Expr;
  readonly count: number;
  readonly tail: boolean;
}

/** Loads what a lane needs of an operand. */
export function load(b: KernelBuilder, tile: Tile, { which, port, mode: wanted }: TileOperand, index: Indices, { k, count, tail }: KStep): Loaded {
  const mode = tail && wanted === 'k' ? 'scalar' : wanted;
  const own = which === 'a' ? tile.cut.rows : tile.cut.cols;
  const values: Expr[][] = [];
  for (let i = 0; i < own; i += mode === 'mn' ? 4 : 1) {
    const along: Expr[] = [];
    for (let kk = 0; kk < count; kk += mode === 'k' ? 4 : 1) {
      const place = { batch: tile.batch, mn: index(i), k: add(k, u32(kk)) };
      along.push(b.let(`${which}${i}_${kk}`, port.load(place, mode === 'scalar' ? 1 : 4)));
    }
    values.push(along);
  }
  return loaded(mode, values);
}

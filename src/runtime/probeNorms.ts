/**
 * @file Squared norms of many gradients by few dispatches: neighbouring gradients are cut into rows of one width that each lie within
 * one parameter, one kernel sums every row, and the host adds up the rows of each parameter in f64.
 */

import { at } from '../errors.ts';
import type { Address } from './link/address.ts';
import { ALIGNMENT, aligned } from './link/layout.ts';
import type { GradientPlace, ProbeStage } from './link/probe.ts';
import type { Program } from './program.ts';

/** Neighbouring gradients that are summed by one dispatch. */
export interface NormRange {
  readonly at: Address;
  /** Bytes of a row. */
  readonly width: number;
  readonly rows: number;
  /** Whose the rows are, in order. */
  readonly shares: readonly { readonly param: number; readonly rows: number }[];
}

/** Most bytes of a row: a subgroup sums it, and there should be rows for many. */
const MOST_WIDTH = 64 * ALIGNMENT;
/** Rows that become narrower than this for a neighbour's sake are not worth it, unless they are few. */
const LEAST_WIDTH = 1024;
const FEW_ROWS = 4096;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** The widest row up to `widest` that cuts `bytes` evenly; both are multiples of the alignment. */
function widthOf(bytes: number, widest: number): number {
  let width = Math.min(widest, bytes);
  while (bytes % width !== 0) width -= ALIGNMENT;
  return width;
}

/** The gradients of a stage in ranges that a binding holds, by address. */
export function normRanges({ params, partBytes }: Pick<Program, 'params' | 'partBytes'>, norms: readonly GradientPlace[]): NormRange[] {
  interface Piece {
    readonly param: number;
    readonly at: Address;
    readonly bytes: number;
  }
  const widest = Math.min(MOST_WIDTH, Math.floor(partBytes / ALIGNMENT) * ALIGNMENT);
  const pieces = [...norms]
    .sort((a, b) => a.at - b.at)
    .flatMap(({ param, at }) => {
      const whole = aligned(params[param]?.bytes ?? 0);
      const width = widthOf(whole, widest);
      const most = Math.floor(partBytes / width) * width;
      return Array.from({ length: Math.ceil(whole / most) }, (_, k): Piece => ({ param, at: at + k * most, bytes: Math.min(most, whole - k * most) }));
    });
  const ranges: { at: Address; bytes: number; common: number; pieces: Piece[] }[] = [];
  for (const piece of pieces) {
    const last = ranges.at(-1);
    const bytes = (last?.bytes ?? 0) + piece.bytes;
    const common = gcd(last?.common ?? 0, piece.bytes);
    const width = widthOf(common, widest);
    if (last && last.at + last.bytes === piece.at && bytes <= partBytes && (width >= LEAST_WIDTH || bytes / width <= FEW_ROWS)) {
      last.pieces.push(piece);
      Object.assign(last, { bytes, common });
    } else ranges.push({ at: piece.at, bytes: piece.bytes, common: piece.bytes, pieces: [piece] });
  }
  return ranges.map(({ at, bytes, common, pieces: members }) => {
    const width = widthOf(common, widest);
    return { at, width, rows: bytes / width, shares: members.map((piece) => ({ param: piece.param, rows: piece.bytes / width })) };
  });
}

/** Bytes that the sums of a range's rows take, up to where the next one's may start. */
export const sumBytes = ({ rows }: Pick<NormRange, 'rows'>): number => aligned(4 * rows);

/** Bytes of the buffer that takes the sums of all stages. */
export function probeBytes(program: Program, { stages }: { readonly stages: readonly ProbeStage[] }): number {
  return stages.reduce((sum, { norms }) => sum + normRanges(program, norms).reduce((n, range) => n + sumBytes(range), 0), 0);
}

/** Adds the sums of a range's rows, from `first` on in `sums`, to the squares of their parameters. */
export function addSquares(squares: Map<number, number>, { shares }: NormRange, sums: Float32Array, first: number): void {
  let row = first;
  for (const { param, rows } of shares) {
    let sum = squares.get(param) ?? 0;
    for (let k = 0; k < rows; k++) sum += at(sums, row++);
    squares.set(param, sum);
  }
}

/** @file Long runs of bytes in pieces: so that no more than a piece has to be in memory at once. */

/** Bytes [offset, offset + length). */
export interface Piece {
  readonly offset: number;
  readonly length: number;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/**
 * Cuts `bytes` bytes into pieces, in order, of about `most` bytes and at least one unit. All but the last are whole multiples of `unit`
 * and of 4 bytes, so that each starts where a unit does and where a device can be written.
 * @param unit bytes that belong together, such as a quantised block
 */
export function* piecesOf(bytes: number, unit: number, most: number): Generator<Piece> {
  const step = unit * (4 / greatestCommonDivisor(unit, 4));
  const length = Math.max(1, Math.floor(most / step)) * step;
  for (let offset = 0; offset < bytes; offset += length) yield { offset, length: Math.min(length, bytes - offset) };
}

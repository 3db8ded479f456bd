/** @file Weights that are no numbers, found in the bytes they are stored in: a NaN or an infinity in one of them spoils every step of a run. */

import { EbbError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, halfToFloat } from './floats.ts';
import { BLOCKS, type BlockType } from './ggmlBlocks.ts';

/** An element that is NaN or infinite; of a quantised type the first of a block whose scale is. */
export interface NonFinite {
  readonly element: number;
  readonly value: number;
}

/** By type: the bits of the exponents in a word, and what carries them into the sign bits where all of them are set. */
const EXPONENTS = {
  f32: { mask: 0x7f800000, carry: 0x00800000, signs: 0x80000000, widen: f32FromBytes },
  f16: { mask: 0x7c007c00, carry: 0x04000400, signs: 0x80008000, widen: f16ToF32 },
  bf16: { mask: 0x7f807f80, carry: 0x00800080, signs: 0x80008000, widen: bf16ToF32 },
} as const;

/** Whole words of bytes, the last filled up with zeros; without a copy where they are words already. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const isWhole = bytes.byteOffset % 4 === 0 && bytes.byteLength % 4 === 0;
  if (isWhole) return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const copy = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  copy.set(bytes);
  return new Uint32Array(copy.buffer);
}

/** The first element that is NaN or infinite among values of `type`, in whole blocks; null where all are finite. */
export function nonFinite(type: BlockType, bytes: Uint8Array): NonFinite | null {
  if (type !== 'f32' && type !== 'f16' && type !== 'bf16') return nonFiniteScale(type, bytes);
  const { mask, carry, signs, widen } = EXPONENTS[type];
  const words = wordsOf(bytes);
  let carried = 0;
  for (let i = 0; i < words.length; i++) carried |= ((words[i] as number) & mask) + carry;
  if ((carried & signs) === 0) return null;
  const values = widen(bytes);
  const element = values.findIndex((v) => !Number.isFinite(v));
  return { element, value: values[element] as number };
}

/** Bits of the exponent in the upper byte of an f16. */
const HALF_EXPONENT = 0x7c;

function nonFiniteScale(type: BlockType, bytes: Uint8Array): NonFinite | null {
  const { blockSize, bytesPerBlock, scales } = BLOCKS[type];
  for (const scale of scales)
    for (let at = scale; at < bytes.length; at += bytesPerBlock)
      if (((bytes[at + 1] as number) & HALF_EXPONENT) === HALF_EXPONENT)
        return { element: ((at - scale) / bytesPerBlock) * blockSize, value: halfToFloat((bytes[at] as number) | ((bytes[at + 1] as number) << 8)) };
  return null;
}

/**
 * @param where begins the error: a file and a tensor
 * @param before elements of the tensor before these
 * @throws EbbError for weights of which one is NaN or infinite
 */
export function refuseNonFinite(where: string, type: BlockType, bytes: Uint8Array, before = 0): void {
  const found = nonFinite(type, bytes);
  if (!found) return;
  const what = BLOCKS[type].blockSize > 1 ? ', the scale of its block' : '';
  throw new EbbError(
    `${where} holds ${found.value} at element ${before + found.element}${what}, expected finite numbers; the file is broken, or was written by a run that had diverged: give weights from before`,
  );
}

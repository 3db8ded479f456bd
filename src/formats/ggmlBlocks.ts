/** @file ggml's tensor types: block layouts as data, and reference dequantisation bit-equal to gguf-py (ggml-quants.c). */

import { at, EbbError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, halfToFloat } from './floats.ts';

export type BlockType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'q5_0' | 'q5_1' | 'iq4_nl' | 'q2_k' | 'q3_k' | 'q4_k' | 'q5_k' | 'q6_k';

export interface BlockLayout {
  /** Values in one block, along a row. */
  readonly blockSize: number;
  readonly bytesPerBlock: number;
  /** Where in a block its scales of f16 lie, in bytes. */
  readonly scales: readonly number[];
}

export const BLOCKS: Readonly<Record<BlockType, BlockLayout>> = {
  f32: { blockSize: 1, bytesPerBlock: 4, scales: [] },
  f16: { blockSize: 1, bytesPerBlock: 2, scales: [] },
  bf16: { blockSize: 1, bytesPerBlock: 2, scales: [] },
  q8_0: { blockSize: 32, bytesPerBlock: 34, scales: [0] },
  q4_0: { blockSize: 32, bytesPerBlock: 18, scales: [0] },
  q4_1: { blockSize: 32, bytesPerBlock: 20, scales: [0, 2] },
  q5_0: { blockSize: 32, bytesPerBlock: 22, scales: [0] },
  q5_1: { blockSize: 32, bytesPerBlock: 24, scales: [0, 2] },
  iq4_nl: { blockSize: 32, bytesPerBlock: 18, scales: [0] },
  q2_k: { blockSize: 256, bytesPerBlock: 84, scales: [80, 82] },
  q3_k: { blockSize: 256, bytesPerBlock: 110, scales: [108] },
  q4_k: { blockSize: 256, bytesPerBlock: 144, scales: [0, 2] },
  q5_k: { blockSize: 256, bytesPerBlock: 176, scales: [0, 2] },
  q6_k: { blockSize: 256, bytesPerBlock: 210, scales: [208] },
};

const f = Math.fround;

/** The f16 at byte `from`. */
function half(b: Uint8Array, from: number): number {
  return halfToFloat(at(b, from) | (at(b, from + 1) << 8));
}

/** Writes the values of the block at byte `from` of `b` from `to` on in `out`. */
type Unpack = (b: Uint8Array, from: number, out: Float32Array, to: number) => void;

/** d: f16; 32 × i8. */
const q8_0: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  for (let i = 0; i < 32; i++) out[to + i] = d * ((at(b, from + 2 + i) << 24) >> 24);
};

/** Value i of 32 in the 16 bytes from `from` on: the low nibbles hold the first 16, the high ones the others. */
const nibble = (b: Uint8Array, from: number, i: number): number => (at(b, from + (i & 15)) >> ((i >> 4) * 4)) & 15;

/** Value i of 32 in 4 bytes of high bits from `from` on and the 16 bytes of nibbles behind them. */
const fiveBits = (b: Uint8Array, from: number, i: number): number => nibble(b, from + 4, i) | (((at(b, from + (i >> 3)) >> (i & 7)) & 1) << 4);

/** Value i of 256 in the 64 bytes from `from` on: a byte holds one bit pair of each of four neighbouring groups of 32. */
const bitPair = (b: Uint8Array, from: number, i: number): number => (at(b, from + 32 * (i >> 7) + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3;

/** Bit i of 256 in the 32 bytes from `from` on: a byte holds one bit of each of the eight groups of 32. */
const groupBit = (b: Uint8Array, from: number, i: number): number => (at(b, from + (i & 31)) >> (i >> 5)) & 1;

/** d: f16; 16 bytes of nibbles, each minus 8. */
const q4_0: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  for (let i = 0; i < 32; i++) out[to + i] = d * (nibble(b, from + 2, i) - 8);
};

/** d, m: f16; 16 bytes of nibbles: d·q + m. */
const q4_1: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  const m = half(b, from + 2);
  for (let i = 0; i < 32; i++) out[to + i] = f(d * nibble(b, from + 4, i)) + m;
};

/** d: f16; 4 bytes of high bits, 16 bytes of nibbles, together minus 16. */
const q5_0: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  for (let i = 0; i < 32; i++) out[to + i] = d * (fiveBits(b, from + 2, i) - 16);
};

/** d, m: f16; 4 bytes of high bits, 16 bytes of nibbles: d·q + m. */
const q5_1: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  const m = half(b, from + 2);
  for (let i = 0; i < 32; i++) out[to + i] = f(d * fiveBits(b, from + 4, i)) + m;
};

/** What the nibbles of iq4_nl stand for: closer together about zero, where most weights are. */
const IQ4_NL_VALUES = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** d: f16; 16 bytes of nibbles, each the place of a value in the table. */
const iq4_nl: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  for (let i = 0; i < 32; i++) out[to + i] = d * at(IQ4_NL_VALUES, nibble(b, from + 2, i));
};

/** 16 bytes of a scale and a min in 4 bits each; 64 bytes of bit pairs; d, dmin: f16: d·scale·q − dmin·min over 16 groups of 16. */
const q2_k: Unpack = (b, from, out, to) => {
  const d = half(b, from + 80);
  const dmin = half(b, from + 82);
  for (let i = 0; i < 256; i++) {
    const scales = at(b, from + (i >> 4));
    out[to + i] = f(f(d * (scales & 15)) * bitPair(b, from + 16, i)) - f(dmin * (scales >> 4));
  }
};

/** Scale of group g of 16 in the 12 bytes from `from` on: 8 bytes of low nibbles, 4 bytes of high bit pairs, together minus 32. */
const q3Scale = (b: Uint8Array, from: number, g: number): number =>
  ((at(b, from + (g & 7)) >> (4 * (g >> 3))) & 15) + (((at(b, from + 8 + (g & 3)) >> (2 * (g >> 2))) & 3) << 4) - 32;

/** 32 bytes of high bits, 64 bytes of bit pairs, 12 bytes of 16 scales, d: f16: d·scale·q, where q is 4 less without its high bit. */
const q3_k: Unpack = (b, from, out, to) => {
  const d = half(b, from + 108);
  for (let i = 0; i < 256; i++) {
    const q = bitPair(b, from + 32, i) - 4 * (1 - groupBit(b, from, i));
    out[to + i] = f(d * q3Scale(b, from + 96, i >> 4)) * q;
  }
};

/** Scale of group g of 32, in 6 bits, in the 12 bytes from `from` on. */
const groupScale = (b: Uint8Array, from: number, g: number): number =>
  g < 4 ? at(b, from + g) & 63 : (at(b, from + g + 4) & 15) | ((at(b, from + g - 4) >> 6) << 4);

/** Min of group g of 32, in 6 bits, in the 12 bytes from `from` on. */
const groupMin = (b: Uint8Array, from: number, g: number): number =>
  g < 4 ? at(b, from + g + 4) & 63 : (at(b, from + g + 4) >> 4) | ((at(b, from + g) >> 6) << 4);

/** d, dmin: f16; 12 bytes of scales and mins; so many bytes of high bits, 128 bytes of nibbles: d·scale·q − dmin·min over 8 groups of 32. */
const scaledGroups =
  (highBytes: 0 | 32): Unpack =>
  (b, from, out, to) => {
    const d = half(b, from);
    const dmin = half(b, from + 2);
    const highs = from + 16;
    for (let group = 0; group < 8; group++) {
      const ds = f(d * groupScale(b, from + 4, group));
      const dm = f(dmin * groupMin(b, from + 4, group));
      // a byte holds a nibble of each of two neighbouring groups
      const nibbles = highs + highBytes + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let i = 0; i < 32; i++) {
        const high = highBytes === 0 ? 0 : groupBit(b, highs, 32 * group + i);
        out[to + 32 * group + i] = f(ds * (((at(b, nibbles + i) >> shift) & 15) | (high << 4))) - dm;
      }
    }
  };

const q4_k = scaledGroups(0);
const q5_k = scaledGroups(32);

/** 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 × i8 scales, d: f16: d·scale·(q − 32). */
const q6_k: Unpack = (b, from, out, to) => {
  const d = half(b, from + 208);
  for (let i = 0; i < 256; i++) {
    const [part, within] = [i >> 7, i & 127];
    const lane = within & 31;
    const quarter = within >> 5;
    const low = (at(b, from + 64 * part + 32 * (quarter & 1) + lane) >> (4 * (quarter >> 1))) & 15;
    const scale = (at(b, from + 192 + (i >> 4)) << 24) >> 24;
    out[to + i] = f(d * scale) * ((low | (bitPair(b, from + 128, i) << 4)) - 32);
  }
};

const UNPACK: Readonly<Partial<Record<BlockType, Unpack>>> = { q8_0, q4_0, q4_1, q5_0, q5_1, iq4_nl, q2_k, q3_k, q4_k, q5_k, q6_k };

/** The values of whole blocks of `type`, in order; f32 arithmetic, the scale's product rounded first. */
export function dequantise(type: BlockType, bytes: Uint8Array): Float32Array {
  const { blockSize, bytesPerBlock } = BLOCKS[type];
  if (bytes.length % bytesPerBlock !== 0) {
    throw new EbbError(`${type} data has ${bytes.length} bytes, expected a multiple of ${bytesPerBlock}`);
  }
  if (type === 'f32') return f32FromBytes(bytes);
  if (type === 'f16') return f16ToF32(bytes);
  if (type === 'bf16') return bf16ToF32(bytes);
  const unpack = UNPACK[type];
  const blocks = bytes.length / bytesPerBlock;
  const result = new Float32Array(blocks * blockSize);
  for (let i = 0; i < blocks; i++) unpack?.(bytes, i * bytesPerBlock, result, i * blockSize);
  return result;
}

/** @file ggml's tensor types: block layouts as data, and reference dequantisation bit-equal to gguf-py (ggml-quants.c). */

import { at, EbbError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32FromBytes, halfToFloat } from './floats.ts';

export type BlockType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0' | 'q4_1' | 'q4_k' | 'q6_k';

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
  q4_k: { blockSize: 256, bytesPerBlock: 144, scales: [0, 2] },
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

/** d: f16; 16 bytes, low nibbles first, each minus 8. */
const q4_0: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  for (let i = 0; i < 16; i++) {
    const q = at(b, from + 2 + i);
    out[to + i] = d * ((q & 15) - 8);
    out[to + 16 + i] = d * ((q >> 4) - 8);
  }
};

/** d, m: f16; 16 bytes, low nibbles first: d·q + m. */
const q4_1: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  const m = half(b, from + 2);
  for (let i = 0; i < 16; i++) {
    const q = at(b, from + 4 + i);
    out[to + i] = f(d * (q & 15)) + m;
    out[to + 16 + i] = f(d * (q >> 4)) + m;
  }
};

/** d, dmin: f16; 8 scales and 8 mins of 6 bits in 12 bytes; 128 bytes: d·scale·q − dmin·min over 8 groups of 32. */
const q4_k: Unpack = (b, from, out, to) => {
  const d = half(b, from);
  const dmin = half(b, from + 2);
  const s = (i: number): number => at(b, from + 4 + i);
  for (let group = 0; group < 8; group++) {
    const low = group < 4;
    const scale = low ? s(group) & 63 : (s(group + 4) & 15) | ((s(group - 4) >> 6) << 4);
    const min = low ? s(group + 4) & 63 : (s(group + 4) >> 4) | ((s(group) >> 6) << 4);
    const ds = f(d * scale);
    const dm = f(dmin * min);
    const bytes = from + 16 + 32 * (group >> 1);
    const shift = 4 * (group & 1);
    for (let i = 0; i < 32; i++) out[to + 32 * group + i] = f(ds * ((at(b, bytes + i) >> shift) & 15)) - dm;
  }
};

/** 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 × i8 scales, d: f16: d·scale·(q − 32). */
const q6_k: Unpack = (b, from, out, to) => {
  const d = half(b, from + 208);
  for (let i = 0; i < 256; i++) {
    const [part, within] = [i >> 7, i & 127];
    const lane = within & 31;
    const quarter = within >> 5;
    const low = (at(b, from + 64 * part + 32 * (quarter & 1) + lane) >> (4 * (quarter >> 1))) & 15;
    const high = (at(b, from + 128 + 32 * part + lane) >> (2 * quarter)) & 3;
    const scale = (at(b, from + 192 + (i >> 4)) << 24) >> 24;
    out[to + i] = f(d * scale) * ((low | (high << 4)) - 32);
  }
};

const UNPACK: Readonly<Partial<Record<BlockType, Unpack>>> = { q8_0, q4_0, q4_1, q4_k, q6_k };

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

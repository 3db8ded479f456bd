/** @file Widens stored weights while loading them. Buffers hold the checkpoint's bytes as u32 words, in the layouts of llama.cpp (ggml-common.h). */

import { blockOf, type DType } from '../../../ir/types.ts';
import type { BufferRef, KernelBuilder } from '../builder.ts';
import { add, bin, bitcast, component, convert, div, f32, i32, lt, mul, neg, rem, select, sub, typedCall, u32, vec } from '../expr.ts';
import type { Expr } from '../ir.ts';

const shr = (a: Expr, n: Expr | number): Expr => bin('>>', a, typeof n === 'number' ? u32(n) : n);
const shl = (a: Expr, n: Expr | number): Expr => bin('<<', a, typeof n === 'number' ? u32(n) : n);
const mask = (a: Expr, m: number): Expr => bin('&', a, u32(m));

interface Bytes {
  /** The byte at an offset. */
  at(offset: Expr): Expr;
  /** The four bytes from an offset on as a word, whose lowest byte is the first. */
  four(offset: Expr): Expr;
  /** An f16 at an even offset. */
  half(offset: Expr): Expr;
  /** The two f16 at an offset that is a multiple of 4. */
  halves(offset: Expr): readonly [Expr, Expr];
}

/** @param aligned whether `four` is called only with multiples of 4 */
function bytesOf(b: KernelBuilder, buffer: BufferRef, aligned: boolean): Bytes {
  const word = (offset: Expr): Expr => buffer.load(div(offset, u32(4)));
  const bitOf = (offset: Expr): Expr => mul(rem(offset, u32(4)), u32(8));
  const unpacked = (bits: Expr): Expr => typedCall('vec2f', 'unpack2x16float', bits);
  return {
    at: (offset) => mask(shr(word(offset), bitOf(offset)), 0xff),
    four: (wanted) => {
      if (aligned) return b.let('four', word(wanted));
      const offset = b.let('offset', wanted);
      const bit = b.let('bit', bitOf(offset));
      // At a multiple of 4, both are the same word, and neither is shifted.
      const [low, high] = [word(offset), word(add(offset, u32(3)))];
      return b.let('four', bin('|', shr(low, bit), shl(high, mask(sub(u32(32), bit), 31))));
    },
    half: (offset) => component(unpacked(b.let('h', mask(shr(word(offset), bitOf(offset)), 0xffff))), 0),
    halves: (offset) => {
      const pair = b.let('pair', unpacked(word(offset)));
      return [component(pair, 0), component(pair, 1)];
    },
  };
}

/** Where an element lies: `base` is the first byte of its block, `at` its position in the block. Four neighbours share all but their quants. */
interface Place {
  readonly b: KernelBuilder;
  readonly bytes: Bytes;
  readonly base: Expr;
  readonly at: Expr;
  /** Loads the byte at an offset or, for four elements at once, the four bytes from there on. */
  readonly load: (offset: Expr) => Expr;
}

/** An element is scale · (quant − zero) + shift. */
interface Block {
  /** Loads quants, and returns a function for the quant of one element; it is told how to take that element's byte from what was loaded. */
  readonly quant: (place: Place) => (byte: (loaded: Expr) => Expr) => Expr;
  readonly zero?: number;
  readonly scale: (place: Place) => { readonly scale: Expr; readonly shift?: Expr };
}

const asFloat = (x: Expr): Expr => convert('f32', x);
const signed8 = (x: Expr): Expr => convert('f32', sub(convert('i32', bin('^', x, u32(0x80))), i32(0x80)));

/** Blocks of 32: 16 bytes from `offset` on hold elements 0 to 15 in their low halves, 16 to 31 in their high ones. */
const nibbles =
  (offset: number): Block['quant'] =>
  ({ b, base, at, load }) => {
    const loaded = load(add(add(base, u32(offset)), rem(at, u32(16))));
    const shift = b.let('shift', mul(div(at, u32(16)), u32(4)));
    return (byte) => asFloat(mask(shr(byte(loaded), shift), 15));
  };

/** The sub-block of 32 that an element of a Q4_K block is in. */
const subBlock = (b: KernelBuilder, at: Expr): Expr => b.let('j', div(at, u32(32)));

/** 6-bit scale and minimum of sub-block j of a Q4_K block (get_scale_min_k4): 12 bytes at base + 4. */
function scaleMin({ b, bytes, base }: Place, j: Expr): { scale: Expr; minimum: Expr } {
  const low = lt(j, u32(4));
  const s = (offset: Expr): Expr => b.let('s', bytes.at(add(add(base, u32(4)), offset)));
  const jl = b.let('jl', bin('&', j, u32(3)));
  const first = s(jl);
  const second = s(add(jl, u32(4)));
  const third = s(add(jl, u32(8)));
  return {
    scale: select(bin('|', mask(third, 15), shl(shr(first, 6), 4)), mask(first, 63), low),
    minimum: select(bin('|', shr(third, 4), shl(shr(second, 6), 4)), mask(second, 63), low),
  };
}

const BLOCKS: Partial<Record<DType, Block>> = {
  q8_0: {
    quant: ({ base, at, load }) => {
      const loaded = load(add(add(base, u32(2)), at));
      return (byte) => signed8(byte(loaded));
    },
    scale: ({ bytes, base }) => ({ scale: bytes.half(base) }),
  },
  q4_0: { quant: nibbles(2), zero: 8, scale: ({ bytes, base }) => ({ scale: bytes.half(base) }) },
  q4_1: {
    quant: nibbles(4),
    scale: ({ bytes, base }) => {
      const [scale, shift] = bytes.halves(base);
      return { scale, shift };
    },
  },
  q4_k: {
    quant: ({ b, base, at, load }) => {
      const j = subBlock(b, at);
      const loaded = load(add(add(base, u32(16)), add(mul(div(j, u32(2)), u32(32)), rem(at, u32(32)))));
      const shift = b.let('shift', mul(rem(j, u32(2)), u32(4)));
      return (byte) => asFloat(mask(shr(byte(loaded), shift), 15));
    },
    scale: (place) => {
      const { scale, minimum } = scaleMin(place, subBlock(place.b, place.at));
      const [d, dmin] = place.bytes.halves(place.base);
      return { scale: mul(d, asFloat(scale)), shift: neg(mul(dmin, asFloat(minimum))) };
    },
  },
  q6_k: {
    // A block has two halves of 128 elements, with 64 bytes of ql and 32 of qh each, and a scale for every 16 elements.
    quant: ({ b, base, at, load }) => {
      const half = b.let('half', div(at, u32(128)));
      const l = b.let('l', rem(at, u32(32)));
      const part = b.let('part', rem(div(at, u32(32)), u32(4)));
      const low = load(add(add(base, mul(half, u32(64))), add(l, mul(rem(part, u32(2)), u32(32)))));
      const high = load(add(add(base, add(u32(128), mul(half, u32(32)))), l));
      return (byte) => asFloat(bin('|', mask(shr(byte(low), mul(div(part, u32(2)), u32(4))), 15), shl(mask(shr(byte(high), mul(part, u32(2))), 3), 4)));
    },
    zero: 32,
    scale: ({ bytes, base, at }) => ({ scale: mul(bytes.half(add(base, u32(208))), signed8(bytes.at(add(add(base, u32(192)), div(at, u32(16)))))) }),
  },
};

/** Element `flat` of a stored weight as f32, or with `width` 4 the four from there on, where `flat` is a multiple of 4. */
export function dequantised(b: KernelBuilder, buffer: BufferRef, dtype: DType, flat: Expr, width: 1 | 4): Expr {
  if (dtype === 'bf16' || dtype === 'f16') return width === 1 ? half(buffer, dtype, flat) : fourHalves(b, buffer, dtype, flat);
  const { block, bytes: size } = blockOf(dtype);
  const layout = BLOCKS[dtype];
  if (!layout) throw new Error(`no layout for ${dtype}`);
  const bytes = bytesOf(b, buffer, size % 4 === 0);
  const base = b.let('base', mul(div(flat, u32(block)), u32(size)));
  const load = width === 1 ? (offset: Expr) => b.let('byte', bytes.at(offset)) : bytes.four;
  const place: Place = { b, bytes, base, at: b.let('e', rem(flat, u32(block))), load };
  const quant = layout.quant(place);
  const { scale, shift } = layout.scale(place);
  const [by, plus] = [b.let('scale', scale), shift && b.let('shift', shift)];
  const value = (byte: (loaded: Expr) => Expr): Expr => {
    const q = quant(byte);
    const product = mul(by, layout.zero === undefined ? q : sub(q, f32(layout.zero)));
    return plus ? add(product, plus) : product;
  };
  if (width === 1) return value((loaded) => loaded);
  return vec(
    'vec4f',
    [0, 1, 2, 3].map((i) => value((loaded) => mask(shr(loaded, 8 * i), 0xff))),
  );
}

function half(buffer: BufferRef, dtype: 'bf16' | 'f16', at: Expr): Expr {
  const word = shr(buffer.load(div(at, u32(2))), mul(rem(at, u32(2)), u32(16)));
  return dtype === 'bf16' ? bitcast('f32', shl(word, 16)) : component(typedCall('vec2f', 'unpack2x16float', word), 0);
}

function fourHalves(b: KernelBuilder, buffer: BufferRef, dtype: 'bf16' | 'f16', flat: Expr): Expr {
  const first = b.let('w', buffer.load(div(flat, u32(2))));
  const second = b.let('w', buffer.load(add(div(flat, u32(2)), u32(1))));
  if (dtype === 'f16') {
    const pair = (w: Expr): Expr => b.let('p', typedCall('vec2f', 'unpack2x16float', w));
    const [a, c] = [pair(first), pair(second)];
    return vec('vec4f', [component(a, 0), component(a, 1), component(c, 0), component(c, 1)]);
  }
  const low = (w: Expr): Expr => bitcast('f32', shl(w, 16));
  const high = (w: Expr): Expr => bitcast('f32', bin('&', w, u32(0xffff0000)));
  return vec('vec4f', [low(first), high(first), low(second), high(second)]);
}

/** @file Widens stored weights while loading. Buffers hold the checkpoint's bytes as u32 words; layouts are llama.cpp's (ggml-common.h). */

import { blockOf, type DType } from '../../ir/types.ts';
import type { BufferRef, KernelBuilder } from './builder.ts';
import { add, bin, bitcast, component, convert, div, f32, i32, lt, mul, rem, select, sub, typedCall, u32, vec } from './expr.ts';
import type { Expr } from './ir.ts';

const shr = (a: Expr, n: Expr | number): Expr => bin('>>', a, typeof n === 'number' ? u32(n) : n);
const shl = (a: Expr, n: Expr | number): Expr => bin('<<', a, typeof n === 'number' ? u32(n) : n);
const mask = (a: Expr, m: number): Expr => bin('&', a, u32(m));

interface Bytes {
  /** The byte at an offset. */
  at(offset: Expr): Expr;
  /** An f16 at an even offset. */
  half(offset: Expr): Expr;
}

function bytesOf(b: KernelBuilder, buffer: BufferRef): Bytes {
  const word = (offset: Expr): Expr => buffer.load(div(offset, u32(4)));
  return {
    at: (offset) => mask(shr(word(offset), mul(rem(offset, u32(4)), u32(8))), 0xff),
    half: (offset) => {
      const bits = b.let('h', mask(shr(word(offset), mul(rem(offset, u32(4)), u32(8))), 0xffff));
      return component(typedCall('vec2f', 'unpack2x16float', bits), 0);
    },
  };
}

type Block = (b: KernelBuilder, bytes: Bytes, base: Expr, at: Expr) => Expr;
const asFloat = (x: Expr): Expr => convert('f32', x);
const signed8 = (x: Expr): Expr => convert('f32', sub(convert('i32', bin('^', x, u32(0x80))), i32(0x80)));
const nibble = (bytes: Bytes, base: Expr, at: Expr, offset: number): Expr =>
  mask(shr(bytes.at(add(add(base, u32(offset)), rem(at, u32(16)))), mul(div(at, u32(16)), u32(4))), 15);

/** 6-bit scale and minimum of sub-block j of a Q4_K block (get_scale_min_k4): 12 bytes at base + 4. */
function scaleMin(b: KernelBuilder, bytes: Bytes, base: Expr, j: Expr): { scale: Expr; minimum: Expr } {
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
  q8_0: (_b, bytes, base, at) => bin('*', bytes.half(base), signed8(bytes.at(add(add(base, u32(2)), at)))),
  q4_0: (_b, bytes, base, at) => bin('*', bytes.half(base), bin('-', asFloat(nibble(bytes, base, at, 2)), f32(8))),
  q4_1: (_b, bytes, base, at) => bin('+', bin('*', bytes.half(base), asFloat(nibble(bytes, base, at, 4))), bytes.half(add(base, u32(2)))),
  q4_k: (b, bytes, base, at) => {
    const j = b.let('j', div(at, u32(32)));
    const { scale, minimum } = scaleMin(b, bytes, base, j);
    const quant = mask(shr(bytes.at(add(add(base, u32(16)), add(mul(div(j, u32(2)), u32(32)), rem(at, u32(32))))), mul(rem(j, u32(2)), u32(4))), 15);
    const d = bin('*', bytes.half(base), asFloat(scale));
    return bin('-', bin('*', d, asFloat(quant)), bin('*', bytes.half(add(base, u32(2))), asFloat(minimum)));
  },
  q6_k: (b, bytes, base, at) => {
    // two halves of 128: ql 64 bytes and qh 32 bytes each, scales one for 16
    const half = b.let('half', div(at, u32(128)));
    const l = b.let('l', rem(at, u32(32)));
    const part = b.let('part', rem(div(at, u32(32)), u32(4)));
    const low = bytes.at(add(add(base, mul(half, u32(64))), add(l, mul(rem(part, u32(2)), u32(32)))));
    const high = bytes.at(add(add(base, add(u32(128), mul(half, u32(32)))), l));
    const quant = bin('|', mask(shr(low, mul(div(part, u32(2)), u32(4))), 15), shl(mask(shr(high, mul(part, u32(2))), 3), 4));
    const scale = signed8(bytes.at(add(add(base, u32(192)), div(at, u32(16)))));
    return bin('*', bin('*', bytes.half(add(base, u32(208))), scale), bin('-', asFloat(quant), f32(32)));
  },
};

/** Element `flat` of a stored weight as f32, or four from a multiple of 4. */
export function dequantised(b: KernelBuilder, buffer: BufferRef, dtype: DType, flat: Expr, width: 1 | 4): Expr {
  const one = (at: Expr): Expr => {
    const { block, bytes: size } = blockOf(dtype);
    if (dtype === 'bf16') return bitcast('f32', shl(shr(buffer.load(div(at, u32(2))), mul(rem(at, u32(2)), u32(16))), 16));
    if (dtype === 'f16') return component(typedCall('vec2f', 'unpack2x16float', shr(buffer.load(div(at, u32(2))), mul(rem(at, u32(2)), u32(16)))), 0);
    const layout = BLOCKS[dtype];
    if (!layout) throw new Error(`no layout for ${dtype}`);
    const base = b.let('base', mul(div(at, u32(block)), u32(size)));
    return layout(b, bytesOf(b, buffer), base, b.let('e', rem(at, u32(block))));
  };
  if (width === 1) return one(flat);
  if (dtype === 'bf16' || dtype === 'f16') return fourHalves(b, buffer, dtype, flat);
  return vec(
    'vec4f',
    [0, 1, 2, 3].map((i) => one(b.let('at', add(flat, u32(i))))),
  );
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

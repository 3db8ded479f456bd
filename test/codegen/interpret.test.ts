/** @file The kernel interpreter: arithmetic as on a device, checked indices, barriers and subgroups. */

import { type KernelBuilder, kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import {
  add,
  bin,
  bitcast,
  builtin,
  call,
  convert,
  div,
  eq,
  f32,
  i32,
  lt,
  mul,
  param,
  splat,
  sub,
  typedCall,
  u32,
  vec,
} from '../../src/codegen/kernel/expr.ts';
import { roundF16 } from '../../src/codegen/kernel/interpret/arithmetic.ts';
import { interpret } from '../../src/codegen/kernel/interpret/kernel.ts';
import type { Expr, Kernel } from '../../src/codegen/kernel/ir.ts';

function kernel(build: (k: KernelBuilder) => void, lanes = 1, groups = 1): Kernel {
  const k = kernelBuilder('sample', [lanes, 1, 1], { subgroups: true });
  build(k);
  return k.finish([{ of: [groups], per: 1 }, ONE_GROUP, ONE_GROUP]);
}
const local = builtin('localX');

/** The value of one expression. Operands come through variables so that nothing folds. */
function value(expr: Expr): number {
  const type = expr.type;
  const out = type === 'u32' ? new Uint32Array(1) : type === 'i32' ? new Int32Array(1) : new Float32Array(1);
  interpret(
    kernel((k) => k.buffer('out', type, 'read_write').store(u32(0), expr)),
    { buffers: { out } },
  );
  return out[0] as number;
}
const raw = (op: '+' | '-' | '*' | '/' | '%', a: Expr, b: Expr): Expr => ({ kind: 'bin', type: a.type, op, a, b });

describe('arithmetic', () => {
  it.each<[string, Expr, number]>([
    ['f32 rounds', raw('+', f32(0.1), f32(0.2)), Math.fround(Math.fround(0.1) + Math.fround(0.2))],
    ['u32 wraps below zero', raw('-', u32(1), u32(2)), 0xffffffff],
    ['u32 multiplies in 32 bits', raw('*', u32(0x10001), u32(0x10001)), 0x20001],
    ['i32 wraps', raw('+', i32(0x7fffffff), i32(1)), -0x80000000],
    ['i32 divides towards zero', raw('/', i32(-7), i32(2)), -3],
    ['i32 remainder has the sign of the left', raw('%', i32(-7), i32(2)), -1],
    ['floats to integers truncate and saturate', typedCall('u32', 'convert', f32(-2)), 0],
    ['large floats saturate', typedCall('i32', 'convert', f32(1e20)), 0x7fffffff],
    ['round goes to even', call('round', f32(2.5)), 2],
    ['bitcast of one', bitcast('u32', f32(1)), 0x3f800000],
    ['shift of a negative i32', bin('>>', i32(-8), u32(1)), -4],
    ['extractBits of i32 extends the sign', typedCall('i32', 'extractBits', i32(0xf0), u32(4), u32(4)), -1],
    ['dot of packed bytes', typedCall('i32', 'dot4I8Packed', u32(0xff02ff01), u32(0x01010101)), 1],
    ['halves pack', typedCall('u32', 'pack2x16float', vec('vec2f', [f32(1), f32(-2)])), 0xc0003c00],
    ['dot of vectors', call('dot', vec('vec4f', [f32(1), f32(2), f32(3), f32(4)]), splat('vec4f', f32(2))), 20],
  ])('%s', (_name, expr, wanted) => {
    expect(value(expr)).toBe(wanted);
  });

  it('rounds to f16 as the format does', () => {
    expect([1 / 3, 65504, 65520, 2 ** -24, 2 ** -26, -0.1].map(roundF16)).toEqual([
      0.333251953125,
      65504,
      Number.POSITIVE_INFINITY,
      2 ** -24,
      0,
      -0.0999755859375,
    ]);
  });
});

describe('indices', () => {
  it('an out-of-bounds load names buffer, index and length', () => {
    const bad = kernel((k) =>
      k
        .buffer('out', 'f32', 'read_write')
        .store(
          u32(0),
          k.buffer('x', 'vec4f', 'read').load(u32(2)).type === 'vec4f'
            ? call('dot', k.buffer('y', 'vec4f', 'read').load(param(0)), splat('vec4f', f32(1)))
            : f32(0),
        ),
    );
    const run = (index: number): void =>
      interpret(bad, {
        params: Uint32Array.of(index),
        buffers: { out: new Float32Array(1), x: new Float32Array(4), y: new Float32Array(8) },
      });
    expect(() => run(1)).not.toThrow();
    expect(() => run(2)).toThrow('index 2 of y, which has 2 elements');
  });
  it('so do stores and workgroup memory', () => {
    expect(() =>
      interpret(
        kernel((k) => k.buffer('out', 'f32', 'read_write').store(sub(param(0), u32(1)), f32(0))),
        { buffers: { out: new Float32Array(1) } },
      ),
    ).toThrow('index 4294967295 of out, which has 1 elements');
    expect(() =>
      interpret(
        kernel((k) => k.shared('s', 'f32', 2).setAt(add(param(0), u32(2)), f32(1))),
        { buffers: {} },
      ),
    ).toThrow('index 2 of s, which has 2 elements');
  });
});

/** Reverses the workgroup's values through workgroup memory. */
const reverse = (barrier: boolean): Kernel =>
  kernel(
    (k) => {
      const out = k.buffer('out', 'u32', 'read_write');
      const shared = k.shared('s', 'u32', 8);
      shared.setAt(local, add(local, u32(10)));
      if (barrier) k.barrier();
      out.store(add(mul(builtin('workgroupX'), u32(8)), local), shared.at(sub(u32(7), local)));
    },
    8,
    2,
  );

it('orders workgroup memory by barriers, and shows a missing one', () => {
  const out = new Uint32Array(16);
  interpret(reverse(true), { buffers: { out } });
  expect([...out]).toEqual([17, 16, 15, 14, 13, 12, 11, 10, 17, 16, 15, 14, 13, 12, 11, 10]);
  interpret(reverse(false), { buffers: { out } });
  expect([...out.subarray(0, 8)]).toEqual([0, 0, 0, 0, 13, 12, 11, 10]);
});

it('refuses barriers that only some invocations reach', () => {
  const bad = kernel((k) => {
    k.if(lt(local, u32(2)), () => k.barrier());
  }, 4);
  expect(() => interpret(bad, { buffers: {} })).toThrow('before a barrier');
  const split = kernel((k) => {
    k.if(
      lt(local, u32(2)),
      () => k.barrier(),
      () => k.barrier(),
    );
  }, 4);
  expect(() => interpret(split, { buffers: {} })).toThrow('different barriers');
});

it('runs subgroup operations over the active lanes of each subgroup', () => {
  const sums = kernel((k) => {
    const out = k.buffer('out', 'f32', 'read_write');
    const own = k.let('own', convert('f32', local));
    const total = k.let('total', add(call('subgroupAdd', own), call('subgroupShuffleXor', own, u32(1))));
    const [most, third] = [k.let('most', call('subgroupMax', own)), k.let('third', call('subgroupBroadcast', own, u32(3)))];
    k.if(
      eq(bin('&', local, u32(1)), u32(0)),
      () => out.store(local, most),
      () => out.store(local, add(total, third)),
    );
  }, 8);
  const out = new Float32Array(8);
  interpret(sums, { buffers: { out }, subgroupSize: 4 });
  expect([...out]).toEqual([3, 6 + 0 + 3, 3, 6 + 2 + 3, 7, 22 + 4 + 7, 7, 22 + 6 + 7]);
});

it('refuses subgroup operations in diverging order and reads of inactive lanes', () => {
  const inactive = kernel((k) => k.if(lt(local, u32(2)), () => void k.let('x', call('subgroupBroadcast', f32(1), u32(3)))), 4);
  expect(() => interpret(inactive, { buffers: {} })).toThrow('reads lane 3, which is not active');
  const apart = kernel(
    (k) =>
      k.if(
        lt(local, u32(2)),
        () => void k.let('x', call('subgroupAdd', f32(1))),
        () => void k.let('y', call('subgroupMax', f32(1))),
      ),
    4,
  );
  expect(() => interpret(apart, { buffers: {} })).toThrow('diverge at');
});

it('reads a grid with symbols, folds nothing and needs every buffer', () => {
  const k = kernelBuilder('grid', [2, 1, 1]);
  const out = k.buffer('out', 'u32', 'read_write');
  k.if(lt(add(mul(builtin('workgroupX'), u32(2)), local), param(0)), () => out.store(add(mul(builtin('workgroupX'), u32(2)), local), div(u32(9), u32(2))));
  const grid = k.finish([{ of: ['T', 3], per: 2 }, ONE_GROUP, ONE_GROUP]);
  const data = new Uint32Array(9);
  interpret(grid, { params: Uint32Array.of(9), dims: { T: 3 }, buffers: { out: data } });
  expect([...data]).toEqual(Array(9).fill(4));
  expect(() => interpret(grid, { buffers: { out: data } })).toThrow('dimension T has no value');
  expect(() => interpret(grid, { buffers: {}, dims: { T: 1 } })).toThrow('no data for buffer out');
});

/** @file What the WGSL printer writes, piece by piece. */

import { kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import {
  add,
  and,
  bin,
  bool,
  builtin,
  call,
  component,
  convert,
  div,
  f32,
  i32,
  lt,
  mul,
  neg,
  not,
  param,
  select,
  sub,
  u32,
} from '../../src/codegen/kernel/expr.ts';
import type { Expr, Kernel } from '../../src/codegen/kernel/ir.ts';
import { moduleOf } from '../../src/codegen/targets/target.ts';
import { printExpr } from '../../src/codegen/targets/wgsl/printExpr.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';

const a: Expr = { kind: 'var', type: 'u32', name: 'a' };
const b: Expr = { kind: 'var', type: 'u32', name: 'b' };
const x: Expr = { kind: 'var', type: 'f32', name: 'x' };

describe('printed expressions', () => {
  it.each<[string, Expr]>([
    ['a + b * a', add(a, mul(b, a))],
    ['(a + b) * a', mul(add(a, b), a)],
    ['a - (b - a)', sub(a, sub(b, a))],
    ['a - b - a', sub(sub(a, b), a)],
    ['a / (b * a)', div(a, mul(b, a))],
    ['(a & b) << 2u', bin('<<', bin('&', a, b), u32(2))],
    ['a & b & a', bin('&', bin('&', a, b), a)],
    ['(a + b) & 3u', bin('&', add(a, b), u32(3))],
    ['(a << b) + 1u', add(bin('<<', a, b), u32(1))],
    ['a + b < a && a < b', and(lt(add(a, b), a), lt(a, b))],
    ['(a < b || a < b) && a < b', and(bin('||', lt(a, b), lt(a, b)), lt(a, b))],
    ['!(a < b)', not(lt(a, b))],
    ['x - (-1.5)', sub(x, f32(-1.5))],
    ['-(-1.5)', neg(f32(-1.5))],
    ['x - (-x)', sub(x, neg(x))],
    ['select(a, b, (a < b))', select(a, b, lt(a, b))],
    ['f32(a + b)', convert('f32', add(a, b))],
    ['v.y', component({ kind: 'var', type: 'vec4f', name: 'v' }, 1)],
    ['(v + v)[a]', component(add({ kind: 'var', type: 'vec4f', name: 'v' }, { kind: 'var', type: 'vec4f', name: 'v' }), a)],
    ['params[2][1] /* T */', param(9, 'T')],
  ])('%s', (text, expr) => {
    expect(printExpr(expr)).toBe(text);
  });

  it.each<[string, Expr]>([
    ['0.0', f32(0)],
    ['-0.0', f32(-0)],
    ['1.0', f32(1)],
    ['0.1', f32(0.1)],
    ['1e-45', f32(1e-45)],
    ['16777216.0', f32(2 ** 24)],
    ['-3.4028234663852886e+38', f32(-3.4028234663852886e38)],
    ['0.33333334', f32(1 / 3)],
    ['4294967295u', u32(0xffffffff)],
    ['-5i', i32(-5)],
    ['i32(-2147483648)', i32(-2147483648)],
    ['true', bool(true)],
    ['vec4f(2.0)', { kind: 'const', type: 'vec4f', value: 2 }],
    ['0.5h', { kind: 'const', type: 'f16', value: 0.5 }],
  ])('constant %s', (text, expr) => {
    expect(printExpr(expr)).toBe(text);
  });

  it('rounds every finite f32 back to itself', () => {
    const bits = new DataView(new ArrayBuffer(4));
    for (let i = 0, state = 1; i < 3000; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bits.setUint32(0, state);
      const value = bits.getFloat32(0);
      if (Number.isFinite(value)) expect(Math.fround(Number(printExpr(f32(value))))).toBe(value);
    }
  });

  it('hides infinities and NaN from constant evaluation', () => {
    expect(printExpr(f32(Number.NEGATIVE_INFINITY))).toBe('bitcast<f32>(0xff800000u | (params[15][3] & 0u))');
    expect(printExpr(f32(Number.NaN))).toContain('0x7fc00000u');
  });
});

function everything(): Kernel {
  const k = kernelBuilder('everything', [4, 1, 1], { subgroups: true });
  const input = k.buffer('input', 'f32', 'read');
  const output = k.buffer('output', 'f32', 'read_write');
  const scratch = k.shared('scratch', 'f32', 4);
  const table = k.array('table', 'vec4f', 2);
  const sum = k.var('sum', 'f32');
  k.comment('adds\nup');
  k.for('i', u32(0), param(0, 'N'), u32(1), (i) => {
    k.if(
      lt(i, builtin('localX')),
      () => sum.set(add(sum.get, input.load(i))),
      () => k.return(),
    );
  });
  table.setAt(u32(0), { kind: 'const', type: 'vec4f', value: 1 });
  scratch.setAt(builtin('localIndex'), call('subgroupAdd', sum.get));
  k.barrier();
  output.store(k.linearWorkgroup(), scratch.at(u32(0)));
  return k.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]);
}

it('prints every statement', () => {
  expect(moduleOf(WGSL, everything())).toMatchSnapshot();
});

it('keeps names clear of WGSL and of each other', () => {
  const k = kernelBuilder('names', [1, 1, 1]);
  const wanted = ['dot', 'dot_1', 'dot', 'var', 'target', 'params', 'local', 'f32', '_', '9 lives', 'x', 'x', 'x_1'];
  for (const name of wanted) k.var(name, 'f32');
  const printed = moduleOf(WGSL, k.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]));
  const names = [...printed.matchAll(/^ {2}var (\S+): f32/gm)].map(([, name]) => name);
  expect(names).toEqual(['dot_1', 'dot_1_1', 'dot_2', 'var_1', 'target_1', 'params_1', 'local_1', 'f32_1', 'v', 'v9_lives', 'x', 'x_1', 'x_1_1']);
});

/** @file What the kernel checker lets pass and what it finds. */

import { type KernelBuilder, kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import { checkKernel, kernelProblems } from '../../src/codegen/kernel/check/kernel.ts';
import { DEFAULT_LIMITS } from '../../src/codegen/kernel/check/limits.ts';
import { add, builtin, call, component, convert, eq, f32, i32, lt, mul, param, splat, u32 } from '../../src/codegen/kernel/expr.ts';
import type { Expr, Kernel } from '../../src/codegen/kernel/ir.ts';

function kernel(build: (k: KernelBuilder) => void, workgroup: readonly [number, number, number] = [4, 1, 1], uses: Kernel['uses'] = {}): Kernel {
  const k = kernelBuilder('sample', workgroup, uses);
  build(k);
  return k.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]);
}
const named = (name: string, type: Expr['type'] = 'f32'): Expr => ({ kind: 'var', type, name }) as Expr;
const local = builtin('localX');

describe('what is wrong is said', () => {
  it.each<[string, string, Kernel]>([
    ['an unknown name', 'ghost is not a let or var or loop in scope', kernel((k) => void k.let('a', add(named('ghost'), f32(1))))],
    [
      'a name out of its scope',
      'inner is not a let',
      kernel((k) => {
        let inner: Expr = f32(0);
        k.if(lt(local, u32(1)), () => {
          inner = k.let('inner', call('exp', f32(1)));
        });
        k.let('a', add(inner, f32(1)));
      }),
    ],
    [
      'a name declared twice',
      'a is declared twice',
      {
        ...kernel(() => undefined),
        body: [
          { kind: 'let', name: 'a', value: f32(1) },
          { kind: 'let', name: 'a', value: f32(2) },
        ],
      },
    ],
    ['a name that is none', '_x is no name', { ...kernel(() => undefined), body: [{ kind: 'let', name: '_x', value: f32(1) }] }],
    ['mixed types', 'f32 + u32 gives f32', kernel((k) => void k.let('a', add(f32(1), u32(2))))],
    ['vectors of other scalars', 'vec4f * u32', kernel((k) => void k.let('a', mul(splat('vec4f', f32(1)), local)))],
    [
      'a wrong read type',
      'x is f32, read as u32',
      kernel((k) => {
        k.var('x', 'f32');
        k.let('a', add(named('x', 'u32'), u32(1)));
      }),
    ],
    ['a condition that is no bool', 'a condition is u32', kernel((k) => k.if(local, () => undefined))],
    ['a float index', 'an index is f32', kernel((k) => void k.let('a', k.buffer('x', 'f32', 'read').load(f32(0))))],
    ['a store into a read-only buffer', 'x is read-only', kernel((k) => k.buffer('x', 'f32', 'read').store(u32(0), f32(0)))],
    ['a store of another type', 'x is f32, assigned u32', kernel((k) => k.buffer('x', 'f32', 'read_write').store(u32(0), u32(0)))],
    [
      'an assignment to a let',
      'a is not a var in scope',
      {
        ...kernel(() => undefined),
        body: [
          { kind: 'let', name: 'a', value: f32(1) },
          { kind: 'set', name: 'a', value: f32(2) },
        ],
      },
    ],
    ['a component past the end', 'component 4 of vec4f', kernel((k) => void k.let('a', component(splat('vec4f', f32(1)), 4)))],
    ['a loop over mixed types', 'loop i counts over', kernel((k) => k.for('i', u32(0), i32(3), u32(1), () => undefined))],
    ['a wrong number of arguments', 'max(f32) gives f32', kernel((k) => void k.let('a', call('max', f32(1))))],
    [
      'a broadcast from a lane not constant',
      'subgroupBroadcast(f32, u32)',
      kernel((k) => void k.let('a', call('subgroupBroadcast', f32(1), local)), [4, 1, 1], { subgroups: true }),
    ],
    ['subgroups not declared', 'subgroups are not declared', kernel((k) => void k.let('a', call('subgroupAdd', f32(1))))],
    ['f16 not declared', 'f16 is used', kernel((k) => void k.let('a', convert('f16', convert('f32', local))))],
    ['a parameter word outside', 'parameter word 64', kernel((k) => void k.let('a', add(param(64), u32(1))))],
    ['a barrier some reach', 'a barrier stands where only some', kernel((k) => k.if(eq(local, u32(0)), () => k.barrier()))],
    ['a barrier in a loop of varying length', 'a barrier stands where only some', kernel((k) => k.for('i', u32(0), local, u32(1), () => k.barrier()))],
    [
      'a barrier behind a varying variable',
      'a barrier stands where only some',
      kernel((k) => {
        const x = k.var('x', 'u32', u32(0));
        k.if(lt(local, u32(2)), () => x.set(u32(1)));
        k.if(eq(x.get, u32(1)), () => k.barrier());
      }),
    ],
    [
      'a barrier after a return of some',
      'a barrier stands after a return',
      kernel((k) => {
        k.if(lt(local, u32(2)), () => k.return());
        k.barrier();
      }),
    ],
    ['too many invocations', '512 invocations a workgroup, the device allows 256', kernel(() => undefined, [512, 1, 1])],
    ['a long axis', 'workgroup size 65 along z', kernel(() => undefined, [1, 1, 65])],
    ['too much workgroup memory', '16400 bytes of workgroup memory, the device allows 16384', kernel((k) => void k.shared('s', 'vec4f', 1025))],
    [
      'too many buffers',
      '9 storage buffers, the device allows 8',
      kernel((k) => {
        for (let i = 0; i < 9; i++) k.buffer('x', 'f32', 'read');
      }),
    ],
  ])('%s', (_name, message, bad) => {
    expect(kernelProblems(bad).join('; ')).toContain(message);
    expect(() => checkKernel(bad)).toThrow(message);
  });
});

it('passes uniform barriers, early returns of whole workgroups and larger limits', () => {
  const good = kernel((k) => {
    const shared = k.shared('s', 'f32', 4);
    k.if(lt(param(0), u32(1)), () => k.return());
    k.for('i', builtin('workgroupX'), param(0), u32(1), (i) => {
      shared.setAt(local, convert('f32', i));
      k.barrier();
    });
  });
  expect(kernelProblems(good)).toEqual([]);
  expect(
    kernelProblems(
      kernel(() => undefined, [512, 1, 1]),
      { ...DEFAULT_LIMITS, maxInvocations: 1024, maxWorkgroupSize: [1024, 1024, 64] },
    ),
  ).toEqual([]);
});

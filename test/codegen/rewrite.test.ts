/** @file Rewrites of kernels: names that a target can spell, and the canonical text by which pipelines are shared. */

import fc from 'fast-check';
import { attentionForward, attentionKeyGradient } from '../../src/codegen/kernel/attention/kernels.ts';
import { kernelBuilder, ONE_GROUP } from '../../src/codegen/kernel/builder.ts';
import { checkKernel } from '../../src/codegen/kernel/check/kernel.ts';
import { f32, u32 } from '../../src/codegen/kernel/expr.ts';
import type { Kernel, Stmt } from '../../src/codegen/kernel/ir.ts';
import { canonicalText } from '../../src/codegen/kernel/rewrite/canonical.ts';
import { renamed, withIdentifiers } from '../../src/codegen/kernel/rewrite/names.ts';
import { attentionSpec } from '../support/attentionCase.ts';
import { ATTENTION_CASES, attentionSchedules, matmulSchedules, matrixSchedules } from '../support/kernelCases.ts';
import { matmulKernel, severalSpec } from '../support/matmulCase.ts';

const SUBGROUP = 4;
const ATTENTION = attentionSpec(ATTENTION_CASES['everything at once']!);

/** Kernels with every kind of statement and expression. */
const KERNELS: readonly Kernel[] = [
  ...Object.values({ ...matmulSchedules(SUBGROUP), ...matrixSchedules(SUBGROUP) }).map((s) =>
    matmulKernel(severalSpec('joint', { m: 'M', n: 8, k: 12, k2: 8 }), s),
  ),
  ...Object.values(attentionSchedules(20, SUBGROUP)).flatMap((s) => [attentionForward(ATTENTION, s), attentionKeyGradient(ATTENTION, s)]),
  sample(),
];

function sample(): Kernel {
  const b = kernelBuilder('sample', [4, 1, 1]);
  const out = b.buffer('out', 'f32', 'read_write');
  const pair = b.var('pair', 'vec4f');
  b.comment('of two');
  pair.setComponent(u32(0), f32(-0));
  b.return();
  out.store(u32(0), f32(0));
  return b.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]);
}

/** By index: a kernel is too long to be printed where a property fails. */
const anyKernel = fc.nat(KERNELS.length - 1);

/** Other names, different for different ones. */
const obscured = (kernel: Kernel, seed: number): Kernel => renamed(kernel, (name) => `v${seed}_${[...name].map((c) => c.charCodeAt(0)).join('_')}`);

/** The kernel with comments before every statement. */
function commented(kernel: Kernel): Kernel {
  const block = (body: readonly Stmt[]): Stmt[] =>
    body.flatMap((stmt): Stmt[] => {
      const inner =
        stmt.kind === 'for' ? { ...stmt, body: block(stmt.body) } : stmt.kind === 'if' ? { ...stmt, then: block(stmt.then), else: block(stmt.else) } : stmt;
      return [{ kind: 'comment', text: `next: ${stmt.kind}` }, inner];
    });
  return { ...kernel, body: block(kernel.body) };
}

/** A place in plain data: the keys that lead to it. */
type Path = readonly (string | number)[];

interface Place {
  readonly path: Path;
  readonly found: unknown;
  /** Whether it is a name that the kernel declares. */
  readonly isName: boolean;
}

const NAME_KEYS = new Set(['name', 'buffer', 'array', 'result', 'left', 'right', 'value']);
/** What canonical texts leave out, by the kind of node: what is not said, and types that are always the same. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = { kernel: ['name', 'grid'], param: ['comment', 'type'], builtin: ['type'], comment: ['text'] };

/** Every place in a kernel that says something, with what stands there. */
function places(data: unknown, path: Path = [], kind = 'kernel', key: string | number = ''): Place[] {
  if (typeof data !== 'object' || data === null)
    return [{ path, found: data, isName: typeof data === 'string' && kind !== 'builtin' && NAME_KEYS.has(String(key)) }];
  const own = 'kind' in data ? String(data.kind) : path.length === 0 ? 'kernel' : '';
  if (own === 'comment') return [];
  return Object.entries(data).flatMap(([name, value]) =>
    LEFT_OUT[own]?.includes(name) ? [] : places(value, [...path, Array.isArray(data) ? Number(name) : name], own, name),
  );
}

function replaced(data: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(data)) return data.map((item: unknown, i) => (i === key ? replaced(item, rest, value) : item));
  return { ...(data as object), [key]: replaced((data as Record<string, unknown>)[key], rest, value) };
}

describe('the canonical text of a kernel', () => {
  it('is the same under other names, another kernel name, other comments and another grid', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(1000), (index, seed) => {
        const kernel = KERNELS[index]!;
        const other = { ...commented(obscured(kernel, seed)), name: 'another', grid: [ONE_GROUP, ONE_GROUP, { of: [seed], per: 2 }] as const };
        expect(canonicalText(other)).toBe(canonicalText(kernel));
      }),
    );
  });

  it('differs when anything else does', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(), fc.nat(), (index, place, other) => {
        const kernel = KERNELS[index]!;
        const all = places(kernel);
        const { path, found, isName } = all[place % all.length]!;
        const names = [...new Set(all.flatMap((p) => (p.isName && p.found !== found ? [p.found] : [])))];
        const changed = isName
          ? names[other % names.length]
          : typeof found === 'number'
            ? found === 7
              ? 8
              : 7
            : typeof found === 'boolean'
              ? !found
              : `${String(found)}?`;
        expect(canonicalText(replaced(kernel, path, changed) as Kernel)).not.toBe(canonicalText(kernel));
      }),
      { numRuns: 200 },
    );
  });

  it('differs when a statement is left out', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(), (index, at) => {
        const kernel = KERNELS[index]!;
        const body = kernel.body.filter(({ kind }) => kind !== 'comment');
        expect(canonicalText({ ...kernel, body: body.filter((_, i) => i !== at % body.length) })).not.toBe(canonicalText(kernel));
      }),
    );
  });

  it('tells a negative zero from zero', () => {
    const of = (value: number): string => canonicalText({ ...sample(), body: [{ kind: 'store', buffer: 'out', index: u32(0), value: f32(value) }] });
    expect(of(-0)).not.toBe(of(0));
    expect(of(Number.NaN)).not.toBe(of(Number.POSITIVE_INFINITY));
  });
});

describe('names that a target can spell', () => {
  const everyName = (kernel: Kernel): string[] => places(kernel).flatMap(({ found, isName }) => (isName ? [String(found)] : []));

  it('are identifiers, none of them reserved, and the kernel is the same', () => {
    fc.assert(
      fc.property(anyKernel, fc.nat(3), (index, seed) => {
        const kernel = KERNELS[index]!;
        const reserved = new Set(everyName(kernel).filter((_, i) => i % 4 === seed));
        const spelled = withIdentifiers(kernel, reserved);
        expect(everyName(spelled).filter((name) => reserved.has(name) || !/^[A-Za-z][A-Za-z0-9_]*$/.test(name))).toEqual([]);
        checkKernel(spelled, { maxInvocations: 256, maxWorkgroupSize: [256, 256, 64], maxWorkgroupStorage: 65536, maxStorageBuffers: 9 });
        expect(canonicalText(spelled)).toBe(canonicalText(kernel));
      }),
      { numRuns: 40 },
    );
  });

  it('keep what they were asked as where nothing is in the way', () => {
    const b = kernelBuilder('sample', [1, 1, 1]);
    for (const name of ['x', 'y', 'x', 'y_1', 'x']) b.var(name, 'f32');
    const names = withIdentifiers(b.finish([ONE_GROUP, ONE_GROUP, ONE_GROUP]), new Set()).body.flatMap((stmt) => ('name' in stmt ? [stmt.name] : []));
    expect(names).toEqual(['x', 'y', 'x_1', 'y_1', 'x_2']);
  });
});

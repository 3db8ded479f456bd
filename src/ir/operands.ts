/** @file Operands of ops: how an op declares them, how given ones are checked, and the record by name that the op receives. */

import { at } from '../errors.ts';
import { constraint } from './constraint.ts';
import { type Attrs, BLOCK_TYPES, DTYPES, type DType, type Type, typeText } from './types.ts';

/** Sets of dtypes that an operand may have. `stored` are dtypes in which checkpoints keep weights; `dequantise` widens them. */
const DOMAINS = {
  f32: ['f32'],
  i32: ['i32'],
  u32: ['u32'],
  bool: ['bool'],
  number: ['f32', 'i32', 'u32'],
  bits: ['u32', 'i32'],
  plain: ['f32', 'i32', 'u32', 'bool'],
  stored: ['f16', 'bf16', ...BLOCK_TYPES],
  any: DTYPES,
} as const satisfies Readonly<Record<string, readonly DType[]>>;

export type Domain = keyof typeof DOMAINS;

/**
 * How an op declares an operand: its dtypes, and whether it may be absent. With `when` it is present if that boolean attribute is true; with
 * `optional` it and the operands behind it may be left out; with `many` it is the list of all remaining operands.
 */
export type OperandSpec =
  | Domain
  | { readonly dtype: Domain; readonly when: string }
  | { readonly dtype: Domain; readonly optional: true }
  | { readonly dtype: Domain; readonly many: true };
/** The operands of an op, in order. */
export type OperandSpecs = Readonly<Record<string, OperandSpec>>;

/** A record with a `T` for each operand, by the operand's name. */
export type Named<O extends OperandSpecs, T> = {
  readonly [K in keyof O]: O[K] extends { readonly many: true }
    ? readonly T[]
    : O[K] extends { readonly optional: true } | { readonly when: string }
      ? T | undefined
      : T;
};

const detail = (spec: OperandSpec) => (typeof spec === 'string' ? { dtype: spec } : spec);
/** The dtypes of a domain. */
export const dtypesOf = (domain: Domain): readonly DType[] => DOMAINS[domain];

/** For each declared operand its indices in a list of `count` operands; none if it is absent. */
function places(specs: OperandSpecs, count: number, attrs: Attrs): readonly (readonly [name: string, spec: OperandSpec, at: readonly number[]])[] {
  let next = 0;
  return Object.entries(specs).map(([name, spec]) => {
    if (typeof spec === 'object') {
      if ('many' in spec) {
        const from = next;
        next = Math.max(next, count);
        return [name, spec, Array.from({ length: next - from }, (_, i) => from + i)];
      }
      if ('when' in spec && attrs[spec.when] !== true) return [name, spec, []];
      if ('optional' in spec && next >= count) return [name, spec, []];
    }
    return [name, spec, [next++]];
  });
}

/** @throws OpError C0 if there are more or fewer operands than the op takes, or one has a wrong dtype */
export function checkOperands(op: string, specs: OperandSpecs, types: readonly Type[], attrs: Attrs): void {
  const all = places(specs, types.length, attrs);
  const wanted = all.flatMap(([, , numbers]) => numbers).length;
  const takes = (): string =>
    `takes ${wanted === 1 ? 'one operand' : `${wanted || 'no'} operands`}${wanted > 0 ? ` (${all.flatMap(([name, , numbers]) => (numbers.length > 0 ? [name] : [])).join(', ')})` : ''}`;
  constraint(wanted === types.length, op, 'C0', () => `${takes()}, found ${types.length}`);
  for (const [name, spec, numbers] of all)
    for (const number of numbers) {
      const type = at(types, number);
      const dtypes = dtypesOf(detail(spec).dtype);
      constraint(dtypes.includes(type.dtype), op, 'C0', () => `operand ${name} must be ${dtypes.join(' or ')}, found ${typeText(type)}`);
    }
}

/** Turns a list with an entry for each operand into a record by the operands' names. */
export function bindOperands<O extends OperandSpecs, T>(specs: O, list: readonly T[], attrs: Attrs): Named<O, T> {
  const bound = places(specs, list.length, attrs).map(([name, spec, numbers]): [string, unknown] => {
    if (typeof spec === 'object' && 'many' in spec) return [name, numbers.map((i) => at(list as readonly unknown[], i))];
    return [name, numbers[0] === undefined ? undefined : list[numbers[0]]];
  });
  return Object.fromEntries(bound) as Named<O, T>;
}

/** @file Attributes of ops: how an op declares them, how given ones are checked, and the record by name that the op receives. */

import { constraint } from './constraint.ts';
import { type Attr, type Attrs, type Dim, type DType, SCALAR_TYPES, type Shape } from './types.ts';

/** The types of attributes. The IR holds a `shape` as a list of strings (`["B", "64"]`); the op receives it as a `Shape`. */
interface AttrTypes {
  readonly number: number;
  readonly boolean: boolean;
  readonly text: string;
  readonly numbers: readonly number[];
  readonly shape: Shape;
  readonly dtype: DType;
}
type AttrType = keyof AttrTypes;

/** How an op declares an attribute. A type with `?` may be left out, and so may a boolean, which is then false; a number may have a default. */
export type AttrSpec = AttrType | `${AttrType}?` | { readonly type: 'number'; readonly default: number };
export type AttrSpecs = Readonly<Record<string, AttrSpec>>;

type ValueOf<S extends AttrSpec> = S extends { readonly default: number }
  ? number
  : S extends AttrType
    ? AttrTypes[S]
    : S extends `${infer T extends AttrType}?`
      ? AttrTypes[T] | undefined
      : never;
/** The attributes as an op receives them. */
export type AttrsOf<A extends AttrSpecs> = { readonly [K in keyof A]: ValueOf<A[K]> };

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isText = (value: unknown): boolean => typeof value === 'string';
const isListOf = (value: unknown, is: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);

const TYPES: { readonly [T in AttrType]: { readonly is: (value: unknown) => boolean; readonly called: string } } = {
  number: { is: isNumber, called: 'a number' },
  boolean: { is: (value) => typeof value === 'boolean', called: 'true or false' },
  text: { is: isText, called: 'a string' },
  numbers: { is: (value) => isListOf(value, isNumber), called: 'a list of numbers' },
  shape: { is: (value) => isListOf(value, isText), called: 'a shape, a list of strings' },
  dtype: { is: (value) => (SCALAR_TYPES as readonly unknown[]).includes(value), called: `one of ${SCALAR_TYPES.join(', ')}` },
};

const typeOf = (spec: AttrSpec): AttrType => (typeof spec === 'object' ? spec.type : (spec.replace('?', '') as AttrType));
const mayBeAbsent = (spec: AttrSpec): boolean => typeof spec === 'object' || spec === 'boolean' || spec.endsWith('?');

/** Parses the strings of a `shape` attribute: digits are a static size, anything else names a run-time dimension. */
const shapeOf = (texts: readonly string[]): Shape => texts.map((dim): Dim => (/^[0-9]+$/.test(dim) ? Number(dim) : dim));

/** @throws OpError C0 if an attribute is unknown to the op, is missing, or has the wrong type */
export function checkAttrs(op: string, specs: AttrSpecs, attrs: Attrs): void {
  for (const [name, value] of Object.entries(attrs)) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    constraint(spec !== undefined, op, 'C0', () => `has no attribute ${name}; it has ${Object.keys(specs).join(', ') || 'none'}`);
    const { is, called } = TYPES[typeOf(spec)];
    constraint(is(value), op, 'C0', () => `attribute ${name} must be ${called}, found ${JSON.stringify(value)}`);
  }
  for (const [name, spec] of Object.entries(specs))
    constraint(mayBeAbsent(spec) || Object.hasOwn(attrs, name), op, 'C0', () => `attribute ${name} is missing; it must be ${TYPES[typeOf(spec)].called}`);
}

/** Makes the record that the op receives from checked attributes: shapes are parsed, and missing attributes get their default. */
export function viewAttrs<A extends AttrSpecs>(specs: A, attrs: Attrs): AttrsOf<A> {
  const seen = ([name, spec]: [string, AttrSpec]): [string, unknown] => {
    const value = attrs[name];
    if (value === undefined) return [name, typeof spec === 'object' ? spec.default : typeOf(spec) === 'boolean' ? false : undefined];
    return [name, typeOf(spec) === 'shape' ? shapeOf(value as readonly string[]) : value];
  };
  return Object.fromEntries(Object.entries(specs).map(seen)) as AttrsOf<A>;
}

/** Names of the attributes that are shapes. */
export const shapeAttrs = (specs: AttrSpecs): readonly string[] => Object.entries(specs).flatMap(([name, spec]) => (typeOf(spec) === 'shape' ? [name] : []));

/** Whether the value of an attribute equals the default that the op declares, so that printing may leave it out. */
export function isDefault(specs: AttrSpecs, name: string, value: Attr): boolean {
  const spec = specs[name];
  return typeof spec === 'object' && spec.default === value;
}

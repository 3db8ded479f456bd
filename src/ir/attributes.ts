/** @file Attributes of ops by name: what an op says of them, how they are checked, and what the op then sees. */

import { constraint } from './constraint.ts';
import { type Attr, type Attrs, type Dim, type DType, SCALAR_TYPES, type Shape } from './types.ts';

/** What attributes hold. A `shape` is a list of texts in the IR (`["B", "64"]`), and a shape to the op. */
interface AttrTypes {
  readonly number: number;
  readonly boolean: boolean;
  readonly text: string;
  readonly numbers: readonly number[];
  readonly shape: Shape;
  readonly dtype: DType;
}
type AttrType = keyof AttrTypes;

/** A type; with `?` where it may be left out (booleans always may, and are false then); with a number that stands for one left out. */
export type AttrSpec = AttrType | `${AttrType}?` | { readonly type: 'number'; readonly default: number };
export type AttrSpecs = Readonly<Record<string, AttrSpec>>;

type ValueOf<S extends AttrSpec> = S extends { readonly default: number }
  ? number
  : S extends AttrType
    ? AttrTypes[S]
    : S extends `${infer T extends AttrType}?`
      ? AttrTypes[T] | undefined
      : never;
/** The attributes as an op sees them. */
export type AttrsOf<A extends AttrSpecs> = { readonly [K in keyof A]: ValueOf<A[K]> };

const isNumber = (value: unknown): boolean => typeof value === 'number';
const isText = (value: unknown): boolean => typeof value === 'string';
const isListOf = (value: unknown, is: (item: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);

const TYPES: { readonly [T in AttrType]: { readonly is: (value: unknown) => boolean; readonly called: string } } = {
  number: { is: isNumber, called: 'a number' },
  boolean: { is: (value) => typeof value === 'boolean', called: 'true or false' },
  text: { is: isText, called: 'a text' },
  numbers: { is: (value) => isListOf(value, isNumber), called: 'a list of numbers' },
  shape: { is: (value) => isListOf(value, isText), called: 'a shape, a list of texts' },
  dtype: { is: (value) => (SCALAR_TYPES as readonly unknown[]).includes(value), called: `one of ${SCALAR_TYPES.join(', ')}` },
};

const typeOf = (spec: AttrSpec): AttrType => (typeof spec === 'object' ? spec.type : (spec.replace('?', '') as AttrType));
const mayBeAbsent = (spec: AttrSpec): boolean => typeof spec === 'object' || spec === 'boolean' || spec.endsWith('?');

/** The dimensions that texts stand for. */
const shapeOf = (texts: readonly string[]): Shape => texts.map((dim): Dim => (/^[0-9]+$/.test(dim) ? Number(dim) : dim));

/** @throws OpError C0 for an attribute that the op does not have, lacks, or has in another type */
export function checkAttrs(op: string, specs: AttrSpecs, attrs: Attrs): void {
  for (const [name, value] of Object.entries(attrs)) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    constraint(spec !== undefined, op, 'C0', () => `has no attribute ${name}; it has ${Object.keys(specs).join(', ') || 'none'}`);
    const { is, called } = TYPES[typeOf(spec)];
    constraint(is(value), op, 'C0', () => `attribute ${name} must be ${called}, found ${JSON.stringify(value)}`);
  }
  for (const [name, spec] of Object.entries(specs))
    constraint(mayBeAbsent(spec) || Object.hasOwn(attrs, name), op, 'C0', () => `attribute ${name} is missing, ${TYPES[typeOf(spec)].called}`);
}

/** What an op sees of attributes that were checked. */
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

/** Whether an attribute says what it would say if it were left out. */
export function isDefault(specs: AttrSpecs, name: string, value: Attr): boolean {
  const spec = specs[name];
  return typeof spec === 'object' && spec.default === value;
}

/** @file Jinja2's tests: what stands behind `is`. */

import { bind, needed } from './calls.ts';
import { arithmetic, type Comparison, compare } from './operators.ts';
import { TEXT_TESTS } from './texts.ts';
import { type Arguments, equals, isNumber, isUndefined, itemsOf, lengthOf, type Value } from './values.ts';
import { str } from './write.ts';

type Test = (value: Value, args: Arguments) => boolean;

/** A test without arguments. */
const plain =
  (name: string, test: (value: Value) => boolean): Test =>
  (value, args) => (bind(name, [], args), test(value));

/** A test with one argument. */
const withOther =
  (name: string, test: (value: Value, other: Value) => boolean): Test =>
  (value, args) =>
    test(value, needed(name, 'other', bind(name, ['other'], args)[0]));

const kindOf = (value: Value): string | null => (typeof value === 'object' && value !== null ? value.kind : null);
const isText = (value: Value): boolean => typeof value === 'string' || kindOf(value) === 'markup';
const textTest = (name: 'islower' | 'isupper') => (value: Value) => TEXT_TESTS[name]?.(str(value)) ?? false;

/** Whether two values are one object. Small texts and numbers are, in Python. */
const isSame = (a: Value, b: Value): boolean => a === b || (isUndefined(a) && isUndefined(b) && a.why === b.why);

const PLAIN: Readonly<Record<string, (value: Value) => boolean>> = {
  defined: (value) => !isUndefined(value),
  undefined: isUndefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  number: isNumber,
  string: isText,
  mapping: (value) => kindOf(value) === 'dict',
  iterable: (value) => itemsOf(value) !== undefined || kindOf(value) === 'loop',
  sequence: (value) => lengthOf(value) !== undefined && !['view', 'loop'].includes(kindOf(value) ?? ''),
  callable: (value) => ['function', 'loop', 'undefined'].includes(kindOf(value) ?? ''),
  escaped: (value) => kindOf(value) === 'markup',
  lower: textTest('islower'),
  upper: textTest('isupper'),
  odd: (value) => equals(arithmetic('%', value, 2n), 1n),
  even: (value) => equals(arithmetic('%', value, 2n), 0n),
};

const COMPARISONS: readonly (readonly [Comparison, readonly string[]])[] = [
  ['==', ['==', 'eq', 'equalto']],
  ['!=', ['!=', 'ne']],
  ['>', ['>', 'gt', 'greaterthan']],
  ['>=', ['>=', 'ge']],
  ['<', ['<', 'lt', 'lessthan']],
  ['<=', ['<=', 'le']],
  ['in', ['in']],
];

export const TESTS: ReadonlyMap<string, Test> = new Map([
  ...Object.entries(PLAIN).map(([name, test]): [string, Test] => [name, plain(name, test)]),
  ...COMPARISONS.flatMap(([sign, names]) => names.map((name): [string, Test] => [name, withOther(name, (value, other) => compare(sign, value, other))])),
  ['sameas', withOther('sameas', isSame)],
  ['divisibleby', withOther('divisibleby', (value, other) => equals(arithmetic('%', value, other), 0n))],
]);

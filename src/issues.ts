/** @file What is wrong with a value that a schema does not take, as a person reads it: each key, what was found, what was expected. */

import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { EbbError } from './errors.ts';

type Issue = z.core.$ZodIssue;

/** What is wrong at one key. */
export interface Problem {
  /** Keys that lead to it, with dots between them; empty for the value itself. */
  readonly key: string;
  readonly isMissing: boolean;
  /** In a person's words: `lora.rank: is 0, expected more than 0`. */
  readonly text: string;
}

/** Names that other tools have for a key, in small letters without `_` and `-`, and the key. */
export type OtherNames = Readonly<Record<string, string>>;

/** Types in a person's words. */
const TYPE_WORDS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  string: 'text',
  array: 'a list',
  tuple: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};

const typeWords = (type: string): string => TYPE_WORDS[type] ?? type;

/** Most characters of a found value that a message shows. */
const SHOWN = 120;

function shown(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'function') return 'a function';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

const wordsOr = (words: readonly string[]): string => (words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}` : words.join(''));

/** What a union takes whose alternatives are all of another type than the value. */
function alternatives({ errors }: z.core.$ZodIssueInvalidUnion): string {
  const kinds = errors.flatMap(([first]): string[] => {
    if (first?.code === 'invalid_value') return first.values.map((value) => JSON.stringify(value));
    return first?.code === 'invalid_type' ? [typeWords(first.expected)] : [];
  });
  return kinds.length > 0 ? `expected ${wordsOr([...new Set(kinds)])}` : 'expected something else';
}

function bound(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const [limit, strict, loose] = issue.code === 'too_small' ? [issue.minimum, 'more than', 'at least'] : [issue.maximum, 'less than', 'at most'];
  const number = `${issue.inclusive === false ? strict : loose} ${limit}`;
  if (issue.origin === 'array' || issue.origin === 'set') return `expected ${number} elements`;
  return issue.origin === 'string' ? `expected ${number} characters` : `expected ${number}`;
}

function expectation(issue: Issue): string {
  // a schema that says itself what it expects knows best
  if (issue.message.startsWith('expected')) return issue.message;
  switch (issue.code) {
    case 'invalid_union':
      // The options of a discriminated union are in the issue, though not in its type.
      return 'options' in issue && Array.isArray(issue.options)
        ? `expected ${wordsOr(issue.options.filter((o) => o !== undefined).map((o) => JSON.stringify(o)))}`
        : alternatives(issue);
    case 'invalid_value':
      return `expected ${wordsOr(issue.values.map((value) => JSON.stringify(value)))}`;
    case 'invalid_type':
      return `expected ${typeWords(issue.expected)}`;
    case 'too_small':
    case 'too_big':
      return bound(issue);
    default:
      return issue.message;
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined), value);
}

/** An issue, and where it is. */
interface Placed {
  readonly path: readonly PropertyKey[];
  readonly issue: Issue;
}

/** Whether an issue is about a value of the right type: one of its keys is wrong, or its size is. */
const isRightType = ({ path, issue }: Placed): boolean => path.length > 0 || ['unrecognized_keys', 'too_small', 'too_big'].includes(issue.code);

/** The issues of the alternative that was meant: one whose type the value has. */
function meant(issue: Issue): readonly Placed[] {
  if (issue.code !== 'invalid_union') return [{ path: issue.path, issue }];
  const inside = issue.errors.map((issues) => issues.flatMap(meant)).filter((issues) => issues.every(isRightType));
  const [best] = inside.filter((issues) => issues.length > 0).sort((a, b) => a.length - b.length);
  return best ? best.map((placed) => ({ ...placed, path: [...issue.path, ...placed.path] })) : [{ path: issue.path, issue }];
}

/** The parts of a JSON Schema that say which keys a value may have. */
export interface KeySchema {
  readonly description?: string;
  readonly const?: unknown;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly anyOf?: readonly KeySchema[];
  readonly oneOf?: readonly KeySchema[];
  readonly items?: KeySchema | readonly KeySchema[] | boolean;
}

const withAlternatives = (schema: KeySchema): readonly KeySchema[] => [schema, ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap(withAlternatives)];

/** The schemas of what lies at a path, those of all alternatives. */
export function schemasAt(schema: KeySchema, path: readonly PropertyKey[]): readonly KeySchema[] {
  return path.reduce<readonly KeySchema[]>(
    (schemas, key) =>
      schemas.flatMap(({ properties, items }) => {
        const next = typeof key === 'number' ? items : properties?.[String(key)];
        return typeof next === 'object' && !Array.isArray(next) ? withAlternatives(next as KeySchema) : [];
      }),
    withAlternatives(schema),
  );
}

/** Whether a value may be meant for a schema: where a key has to be one value, the value's key is that. */
function mayBe({ properties = {} }: KeySchema, value: unknown): boolean {
  return Object.entries(properties).every(([key, schema]) => {
    if (schema.const === undefined) return true;
    const own = valueAt(value, [key]);
    return own === undefined ? schema.default === schema.const : own === schema.const;
  });
}

/** The key at a path that was probably meant: what other tools call so, or one that differs in a third of its letters at most. */
function likeliest(path: readonly PropertyKey[], key: string, keys: readonly string[], otherNames: OtherNames): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[_-]/g, '');
  const before = path.length === 0 ? '' : `${path.join('.')}.`;
  const other = Object.hasOwn(otherNames, plain(key)) ? otherNames[plain(key)] : undefined;
  // a key that exists, and not here, is no advice
  if (other?.startsWith(before) && other !== `${before}${key}`) return other;
  const best = nearest(plain, key, keys);
  return best === undefined ? undefined : `${before}${best}`;
}

function nearest(plain: (name: string) => string, key: string, keys: readonly string[]): string | undefined {
  if (keys.length === 0) return undefined;
  const byPlain = new Map(keys.map((known) => [plain(known), known]));
  const best = closest(plain(key), [...byPlain.keys()]);
  return distance(plain(key), best) <= Math.ceil(best.length / 3) ? byPlain.get(best) : undefined;
}

/** All that is wrong with a value which a schema does not take. */
export function problemsOf(schema: z.ZodType, { issues }: z.core.$ZodError, value: unknown, otherNames: OtherNames = {}): readonly Problem[] {
  const unknownKey = (path: readonly PropertyKey[], name: string): Problem => {
    const schemas = schemasAt(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as KeySchema, path);
    const keys = schemas.filter((s) => mayBe(s, valueAt(value, path))).flatMap(({ properties = {} }) => Object.keys(properties));
    const like = likeliest(path, name, [...new Set(keys)], otherNames);
    const key = [...path, name].join('.');
    return { key, isMissing: false, text: `unknown key ${key}${like === undefined ? '' : ` (did you mean ${like}?)`}` };
  };
  const all = issues.flatMap(meant).flatMap(({ path, issue }): Problem[] => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => unknownKey(path, name));
    const key = path.join('.');
    const found = valueAt(value, path);
    const text = `${key === '' ? '' : `${key}: `}${found === undefined ? 'is missing' : `is ${shown(found)}`}, ${expectation(issue)}`;
    return [{ key, isMissing: found === undefined, text }];
  });
  // of a value that several checks refuse the first is said
  return all.filter(({ key }, i) => all.findIndex((other) => other.key === key) === i);
}

/** Says what is wrong with the value that `where` names: in one line, or in a line for each key where several are wrong. */
export function problemsText(where: string, problems: readonly Pick<Problem, 'text'>[], hint: string): string {
  const [only, second] = problems;
  if (only && second === undefined) return `${where}: ${only.text}; ${hint}`;
  return [`${where}: ${problems.length} keys are wrong; ${hint}`, ...problems.map(({ text }) => `  ${text}`)].join('\n');
}

/**
 * Reads a value by a schema. @param where names the value @param hint says what to do
 * @throws EbbError naming every key that is wrong, what was found and what was expected
 */
export function parseBy<T>(schema: z.ZodType<T>, value: unknown, where: string, hint: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new EbbError(problemsText(where, problemsOf(schema, parsed.error, value), hint));
}

/** The kind of value that each option takes. An option that may be left out is optional. */
export type OptionShape<T> = Readonly<Record<keyof T, z.ZodType>>;

/**
 * Checks the options that a function of the library is given. @param where the function
 * @throws EbbError naming every option that it does not know, and every one whose value it does not take
 */
export function checkOptions<T extends object>(where: string, options: T, shape: OptionShape<T>): void {
  const schema = z.strictObject({ ...shape });
  const parsed = schema.safeParse(options);
  if (!parsed.success) throw new EbbError(problemsText(where, problemsOf(schema, parsed.error, options), 'docs/library.md says what it takes'), 'config');
}

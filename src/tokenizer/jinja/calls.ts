/** @file What a call gives, put to the names of what is called, as Python does. */

import { raise } from './failure.ts';
import { type Arguments, checkDefined, isInteger, typeName, type Value } from './values.ts';

/** The arguments of a call in the order of the names. @throws TemplateError for arguments that there are no names for, or two of one name */
export function bind(what: string, names: readonly string[], { positional, keywords }: Arguments): readonly (Value | undefined)[] {
  if (positional.length > names.length)
    raise('TypeError', `${what}() takes at most ${names.length} argument${names.length === 1 ? '' : 's'} (${positional.length} given)`);
  for (const name of keywords.keys()) {
    const index = names.indexOf(name);
    if (index < 0) raise('TypeError', `${what}() got an unexpected keyword argument '${name}'`);
    if (index < positional.length) raise('TypeError', `${what}() got multiple values for argument '${name}'`);
  }
  return names.map((name, i) => positional[i] ?? keywords.get(name) ?? (i in positional || keywords.has(name) ? null : undefined));
}

/** @throws TemplateError for an argument that is missing */
export const needed = (what: string, name: string, value: Value | undefined): Value =>
  value === undefined ? raise('TypeError', `${what}() missing 1 required argument: '${name}'`) : value;

/** A text where only a text will do. @throws TemplateError */
export function textArgument(what: string, value: Value): string {
  checkDefined(value);
  return typeof value === 'string' ? value : raise('TypeError', `${what}: expected str, not ${typeName(value)}`);
}

/** A whole number where only that will do. @throws TemplateError */
export function integerArgument(what: string, value: Value): number {
  checkDefined(value);
  return isInteger(value) ? Number(value) : raise('TypeError', `${what}: '${typeName(value)}' object cannot be interpreted as an integer`);
}

/** How filters apply other filters and tests, by their names. */
export interface Lookups {
  filter(name: string, value: Value, args: Arguments): Value;
  test(name: string, value: Value, args: Arguments): boolean;
}

export type Filter = (value: Value, args: Arguments, lookups: Lookups) => Value;

/** @file Variables of a template: where they are set and found. */

import { undefinedValue, type Value } from './values.ts';

/** Variables of a part of a template, and what is around it. */
export interface Scope {
  readonly variables: Map<string, Value>;
  readonly around: Scope | null;
}

export const within = (around: Scope): Scope => ({ variables: new Map(), around });

/** The value of a name; undefined in Jinja2's sense where there is none. */
export function lookUp(scope: Scope, name: string): Value {
  for (let inner: Scope | null = scope; inner; inner = inner.around) {
    const value = inner.variables.get(name);
    if (value !== undefined) return value;
  }
  return undefinedValue(`'${name}' is undefined`);
}

/**
 * @file Names that the author of a model gives to values. Models call `named`. Definitions that are loaded from files call the other functions,
 * by which `const q = …` names the value that its right-hand side made.
 */

import type { Value } from '../ir/types.ts';
import { currentTrace, type Trace } from './context.ts';

/** Names a value in the IR, where the name is made unique, and returns the value. The last name given to a value counts. */
export function named<T extends Value>(name: string, value: T): T {
  currentTrace()?.names.set(value, name);
  return value;
}

/** How much a trace held when the right-hand side of `const name = …` began. */
export interface Mark {
  /** Number of ops. */
  readonly ops: number;
  /** Number of `const`s around this one. */
  readonly depth: number;
}

/** Begins the right-hand side of `const name = …`. */
export function beginNamed(name: string): Mark | null {
  const trace = currentTrace();
  if (!trace) return null;
  const depth = trace.pending.length;
  trace.pending.push(name);
  return { ops: trace.b.added.length, depth };
}

/** Whether an op made `value` since `mark`, outside of units and sections that began since. Other values are aliases, which keep their names. */
function madeSince({ b, regions }: Trace, mark: Mark, value: unknown): value is Value {
  if (typeof value !== 'object' || value === null) return false;
  for (let i = b.added.length - 1; i >= mark.ops; i--)
    if (b.added[i]?.results.includes(value as Value)) return !regions.some((r) => r.from <= i && i < r.to && r.from >= mark.ops);
  return false;
}

/** Ends the right-hand side of `const name = …`: names its value, and returns it. */
export function endNamed<T>(name: string, mark: Mark | null, value: T): T {
  const trace = currentTrace();
  if (!trace || !mark) return value;
  trace.pending.length = mark.depth;
  if (madeSince(trace, mark, value)) trace.names.set(value, name);
  return value;
}

/** Does the same for `const [q, k] = …` and `const { q, key: k } = …`, with `names` by index or key. */
export function endNamedEach<T>(names: Readonly<Record<string, string>>, mark: Mark | null, value: T): T {
  const trace = currentTrace();
  if (!trace || !mark) return value;
  trace.pending.length = mark.depth;
  if (typeof value !== 'object' || value === null) return value;
  for (const [key, name] of Object.entries(names)) {
    const part = (value as Readonly<Record<string, unknown>>)[key];
    if (madeSince(trace, mark, part)) trace.names.set(part, name);
  }
  return value;
}

/** Joins a site and a name as a person would write them: (`layers.3.attn`, `q`) → `layers[3].attn.q`. */
export function qualifiedName(site: string, valueName: string): string {
  return `${site}.${valueName}`.replace(/\.(\d+)(?=\.)/g, '[$1]');
}

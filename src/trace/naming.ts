/**
 * @file Names of values: those a person gave them. `named` is for people; the rest is what a definition that is loaded from a file calls,
 * whose `const q = …` names what was made while its right-hand side ran.
 */

import type { Value } from '../ir/types.ts';
import { currentTrace, type Trace } from './context.ts';

/** Gives a value its name in the IR, made unique there; the last name given counts. Returns the value. */
export function named<T extends Value>(name: string, value: T): T {
  currentTrace()?.names.set(value, name);
  return value;
}

/** How far a trace was when the right-hand side of `const name = …` began. */
export interface Mark {
  readonly ops: number;
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

/** Made by an op since `mark`, and not inside a unit or section that has ended: an alias keeps the name it has. */
function madeSince({ b, regions }: Trace, mark: Mark, value: unknown): value is Value {
  if (typeof value !== 'object' || value === null) return false;
  for (let i = b.added.length - 1; i >= mark.ops; i--)
    if (b.added[i]?.results.includes(value as Value)) return !regions.some((r) => r.from <= i && i < r.to && r.from >= mark.ops);
  return false;
}

/** Ends the right-hand side of `const name = …`, whose value it returns. */
export function endNamed<T>(name: string, mark: Mark | null, value: T): T {
  const trace = currentTrace();
  if (!trace || !mark) return value;
  trace.pending.length = mark.depth;
  if (madeSince(trace, mark, value)) trace.names.set(value, name);
  return value;
}

/** The same for `const [q, k] = …` and `const { q, key: k } = …`: names by index or key. */
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

/** Site and name as one, as a person would write it: (`layers.3.attn`, `q`) → `layers[3].attn.q`. */
export function qualifiedName(site: string, valueName: string): string {
  return `${site}.${valueName}`.replace(/\.(\d+)(?=\.)/g, '[$1]');
}

/** @file The names that are in scope at a statement. */

import type { FragmentType, KType } from '../ir.ts';

export interface Name {
  readonly kind: 'let' | 'var' | 'loop' | 'array' | 'shared' | 'buffer' | 'fragment';
  readonly type: KType;
  readonly fragment?: FragmentType;
  readonly writable: boolean;
  /** Whether invocations of a workgroup may hold different values. */
  varies: boolean;
}

export interface Scopes {
  /** The name, in the innermost scope that has it. */
  find(name: string): Name | undefined;
  /** Puts a name into the innermost scope. */
  declare(name: string, entry: Name): void;
  /** Runs `body` in a scope of its own, whose names are gone after it. */
  within(body: () => void): void;
}

export function openScopes(): Scopes {
  let innermost = new Map<string, Name>();
  const outer: Map<string, Name>[] = [];
  return {
    find: (name) => innermost.get(name) ?? outer.findLast((scope) => scope.has(name))?.get(name),
    declare: (name, entry) => void innermost.set(name, entry),
    within(body) {
      const around = innermost;
      outer.push(around);
      innermost = new Map();
      body();
      outer.pop();
      innermost = around;
    },
  };
}

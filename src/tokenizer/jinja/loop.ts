/** @file The variable `loop` of Jinja2's loops, and the items that a loop goes over. */

import { bind, needed } from './calls.ts';
import { raise } from './failure.ts';
import { callable, equals, iterate, type Loop, lengthOf, tuple, undefinedValue, type Value } from './values.ts';

/** The items of a loop, one after the other, and the variable that tells of them. */
export interface LoopItems {
  readonly loop: Loop;
  /** The next item, or undefined behind the last one. */
  next(): Value | undefined;
}

/** What a recursive loop does with further items: the text that it writes for them. */
export type Recurse = (items: Value, depth: number) => Value;

/** @param items what the loop goes over @param filter leaves items out, as the loop comes to them @param recurse null for a loop that is not recursive */
export function loopItems(items: Value, filter: ((value: Value) => boolean) | null, recurse: Recurse | null, depth: number): LoopItems {
  const source = iterate(items)[Symbol.iterator]();
  let ahead: Value[] = [];
  let known = filter === null ? lengthOf(items) : undefined;
  let index = -1;
  let before: Value = null;
  let current: Value = null;
  let changed: Value | undefined;

  const take = (): Value | undefined => {
    for (;;) {
      const { done = false, value } = source.next();
      if (done) return undefined;
      if (filter === null || filter(value)) return value;
    }
  };
  const peek = (): Value | undefined => {
    if (ahead.length === 0) {
      const found = take();
      if (found !== undefined) ahead = [found];
    }
    return ahead[0];
  };
  const length = (): number => {
    if (known !== undefined) return known;
    for (let found = take(); found !== undefined; found = take()) ahead.push(found);
    known = index + 1 + ahead.length;
    return known;
  };
  const ATTRIBUTES: Readonly<Record<string, () => Value>> = {
    index: () => BigInt(index + 1),
    index0: () => BigInt(index),
    revindex: () => BigInt(length() - index),
    revindex0: () => BigInt(length() - index - 1),
    first: () => index === 0,
    last: () => peek() === undefined,
    length: () => BigInt(length()),
    depth: () => BigInt(depth + 1),
    depth0: () => BigInt(depth),
    previtem: () => (index === 0 ? undefinedValue('there is no previous item') : before),
    nextitem: () => {
      const next = peek();
      return next === undefined ? undefinedValue('there is no next item') : next;
    },
    cycle: () =>
      callable('cycle', ({ positional }) => {
        const value = positional[index % Math.max(1, positional.length)];
        return value === undefined ? raise('TypeError', 'no items for cycling given') : value;
      }),
    changed: () =>
      callable('changed', ({ positional }) => {
        const now = tuple(positional);
        const isNew = changed === undefined || !equals(changed, now);
        changed = now;
        return isNew;
      }),
  };
  const loop: Loop = {
    kind: 'loop',
    attribute: (name) => (Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name]?.() : undefined),
    call(args) {
      const [further] = bind('loop', ['iterable'], args);
      if (!recurse) return raise('TypeError', "The loop must have the 'recursive' marker to be called recursively.");
      return recurse(needed('loop', 'iterable', further), depth + 1);
    },
  };
  return {
    loop,
    next() {
      const value = peek();
      if (value === undefined) return undefined;
      ahead = ahead.slice(1);
      index++;
      before = current;
      current = value;
      return value;
    },
  };
}

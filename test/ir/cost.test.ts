/** @file The arithmetic of costs agrees, at any sizes, with the same arithmetic of numbers. */

import fc from 'fast-check';
import { type Cost, costAt, costText, leastOf, productOf, sumOf } from '../../src/cost.ts';

type Sum = readonly (number | string)[];
/** An expression in numbers and dimensions. */
type Expression = number | string | { readonly op: 'sum' | 'product'; readonly of: readonly Expression[] } | { readonly least: readonly Sum[] };

const NAMES = ['B', 'S', 'T'];
const name = fc.constantFrom(...NAMES);
const sum: fc.Arbitrary<Sum> = fc.array(fc.oneof(name, fc.integer({ min: -9, max: 9 })), { minLength: 1, maxLength: 3 });
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.integer({ min: -4, max: 4 }),
    name,
    fc.record({ least: fc.array(sum, { minLength: 1, maxLength: 4 }) }),
    fc.record({ op: fc.constantFrom('sum' as const, 'product' as const), of: fc.array(tie('expression'), { maxLength: 3 }) }),
  ),
}));
const sizes = fc.record({ B: fc.integer({ min: 0, max: 20 }), S: fc.integer({ min: 0, max: 20 }), T: fc.integer({ min: 0, max: 20 }) });

function costOf(x: Expression): Cost {
  if (typeof x !== 'object') return sumOf([x]);
  if ('least' in x) return leastOf(x.least);
  return (x.op === 'sum' ? sumOf : productOf)(x.of.map(costOf));
}

function numberOf(x: Expression, at: Readonly<Record<string, number>>): number {
  if (typeof x === 'number') return x;
  if (typeof x === 'string') return at[x]!;
  if ('least' in x) return Math.min(...x.least.map((s) => s.reduce<number>((total, y) => total + numberOf(y, at), 0)));
  const parts = x.of.map((y) => numberOf(y, at));
  return x.op === 'sum' ? parts.reduce((a, b) => a + b, 0) : parts.reduce((a, b) => a * b, 1);
}

it('is that of numbers', () => {
  // + 0: of no terms, or of terms that are −0
  fc.assert(fc.property(expression, sizes, (x, at) => expect(costAt(costOf(x), at) + 0).toBe(numberOf(x, at) + 0)));
});

it('has one term for equal products, in whatever order, and none that is 0', () => {
  fc.assert(
    fc.property(expression, (x) => {
      const cost = costOf(x);
      expect(new Set(cost.map(({ of }) => JSON.stringify(of))).size).toBe(cost.length);
      expect(cost.every(({ times }) => times !== 0)).toBe(true);
      expect(sumOf([cost, productOf([-1, cost])])).toEqual([]);
    }),
  );
  expect(productOf(['T', 2, 'B'])).toEqual(productOf(['B', 'T', 2]));
});

it('is plain data', () => {
  fc.assert(
    fc.property(expression, sizes, (x, at) => {
      const read = JSON.parse(JSON.stringify(costOf(x))) as Cost;
      expect(read).toEqual(costOf(x));
      expect(costAt(read, at)).toBe(costAt(costOf(x), at));
    }),
  );
});

it.each<[Cost, string]>([
  [leastOf([['T'], ['T', 64]]), 'T'],
  [leastOf([[3], [64], ['T', 5]]), '3'],
  [leastOf([['T'], [64], [100, 'T'], [80]]), 'min(64, T)'],
  [leastOf([['S'], ['T', 60, 4]]), 'min(S, T + 64)'],
  [productOf([4, 'T', sumOf(['T', -1])]), '4·T·T − 4·T'],
  [productOf([-1, 'B', leastOf([['T'], [2]]), 'B']), '−B·B·min(2, T)'],
  [sumOf([]), '0'],
])('%j is %s', (cost, text) => {
  expect(costText(cost)).toBe(text);
});

/**
 * @file A cost (of FLOPs or bytes) as a formula over the sizes of the run-time dimensions, such as 2·B·T·64. It is plain data: ops state it
 * (ir/define.ts), programs store it (runtime/program.ts), and `costAt` evaluates it. Sizes are whole numbers of 0 or more.
 */

/** A sum of numbers and dimensions; a dimension is given by its name. */
type SizeSum = readonly (number | string)[];

/** A dimension by its name, or the least of some sums. `{ min: [[64], ['T']] }` is the number of keys that the last of T tokens sees through a window of 64. */
export type CostFactor = string | { readonly min: readonly SizeSum[] };

/** The product of the number `times` and every factor of `of`. */
export interface CostTerm {
  readonly times: number;
  readonly of: readonly CostFactor[];
}

/** The sum of its terms. A cost without terms is 0. */
export type Cost = readonly CostTerm[];

/** What can be added or multiplied: a cost, a number, or a dimension by its name. */
type Summand = Cost | number | string;

function costOf(x: Summand): Cost {
  if (typeof x === 'number') return x === 0 ? [] : [{ times: x, of: [] }];
  return typeof x === 'string' ? [{ times: 1, of: [x] }] : x;
}

const sumText = (sum: SizeSum): string => sum.join(' + ');
const factorText = (factor: CostFactor): string => (typeof factor === 'string' ? factor : `min(${factor.min.map(sumText).join(', ')})`);
const byText = (a: CostFactor, b: CostFactor): number => (factorText(a) < factorText(b) ? -1 : 1);

/** Adds costs. Terms with the same factors become one term, and terms that cancel out are left out. */
export function sumOf(costs: readonly Summand[]): Cost {
  const terms = new Map<string, CostTerm>();
  for (const { times, of } of costs.flatMap(costOf)) {
    const sorted = [...of].sort(byText);
    const key = sorted.map(factorText).join('·');
    terms.set(key, { times: times + (terms.get(key)?.times ?? 0), of: sorted });
  }
  return [...terms.values()].filter(({ times }) => times !== 0);
}

/** Multiplies costs and expands the product. `productOf([2, ...shape])` is 2 for each element of a tensor of that shape. */
export function productOf(costs: readonly Summand[]): Cost {
  return costs.reduce<Cost>(
    (product, next) => sumOf(product.flatMap((a) => costOf(next).map((b): Cost => [{ times: a.times * b.times, of: [...a.of, ...b.of] }]))),
    costOf(1),
  );
}

const numberIn = (sum: SizeSum): number => sum.reduce<number>((total, x) => (typeof x === 'number' ? total + x : total), 0);

/** The sum in a normal form: its names in alphabetical order, then its numbers as one number. */
function simplified(sum: SizeSum): SizeSum {
  const number = numberIn(sum);
  const names = sum.filter((x) => typeof x === 'string').sort();
  return number === 0 && names.length > 0 ? names : [...names, number];
}

/** Whether `a` ≥ `b` at all sizes because `a` has every name of `b`, and at least its number. */
function covers(a: SizeSum, b: SizeSum): boolean {
  const rest = [...a];
  for (const name of b.filter((x) => typeof x === 'string')) {
    const found = rest.indexOf(name);
    if (found < 0) return false;
    rest.splice(found, 1);
  }
  return numberIn(a) >= numberIn(b);
}

/** The least of some sums. A sum that is never less than another one is left out. */
export function leastOf(sums: readonly SizeSum[]): Cost {
  const kept = sums
    .map(simplified)
    .filter((sum, i, all) => !all.some((other, k) => k !== i && covers(sum, other) && (k < i || !covers(other, sum))))
    .sort((a, b) => (sumText(a) < sumText(b) ? -1 : 1));
  const [only] = kept;
  return only !== undefined && kept.length === 1 ? sumOf(only) : [{ times: 1, of: [{ min: kept }] }];
}

/** Evaluates a cost at the given sizes. @throws Error when `sizes` lacks one of its dimensions */
export function costAt(cost: Cost, sizes: Readonly<Record<string, number>>): number {
  const sizeOf = (x: number | string): number => {
    if (typeof x === 'number') return x;
    const size = sizes[x];
    if (size === undefined) throw new Error(`dimension ${x} has no size`);
    return size;
  };
  const sumAt = (sum: SizeSum): number => sum.reduce<number>((total, x) => total + sizeOf(x), 0);
  const factorAt = (factor: CostFactor): number => (typeof factor === 'string' ? sizeOf(factor) : Math.min(...factor.min.map(sumAt)));
  return cost.reduce((total, { times, of }) => total + of.reduce((product, factor) => product * factorAt(factor), times), 0);
}

/** Writes a cost as a formula, such as `4096·B·T·min(64, T) − 2048·B·T`. */
export function costText(cost: Cost): string {
  const termText = ({ times, of }: CostTerm): string => [...(Math.abs(times) === 1 && of.length > 0 ? [] : [Math.abs(times)]), ...of.map(factorText)].join('·');
  const [first, ...others] = cost;
  if (first === undefined) return '0';
  return `${first.times < 0 ? '−' : ''}${termText(first)}${others.map((term) => ` ${term.times < 0 ? '−' : '+'} ${termText(term)}`).join('')}`;
}

/** @file Dots that become one kernel: they share an operand and have results side by side, or they are added up into one sum. */

import { dotShape } from '../../ir/ops/dot.ts';
import { kindOf, opDef } from '../../ir/ops/index.ts';
import { productKey } from '../../ir/ops/structural.ts';
import type { Op, Value } from '../../ir/types.ts';
import type { Cluster } from './types.ts';

/** Most results of one kernel; more take too many registers. */
const MOST_RESULTS = 3;
/** Most dots that one kernel adds up; each has a loop along k of its own. */
const MOST_TERMS = 3;

export const isDot = (op: Op): boolean => kindOf(op) === 'dot';

/** Whether an op is the sum of its two operands. */
export const isPlainSum = (op: Op): boolean => opDef(op.name).adds === true && op.operands.length === 2;

/** The dots of a cluster, in the order they joined. */
export function dotsOf({ members }: Pick<Cluster, 'members'>): Op[] {
  return [...members].filter(isDot);
}

/** Equal for dots whose results can be cut into the same tiles. */
const resultKey = (op: Op): string => {
  const { batch, m, n } = dotShape(op);
  return [batch, m, n].map(productKey).join('|');
};
const depthKey = (op: Op): string => productKey(dotShape(op).k);

/** Whether two dots read one value in the same way. */
function share(a: Op, b: Op): boolean {
  const [s, t] = [dotShape(a), dotShape(b)];
  return (a.operands[0] === b.operands[0] && s.ta === t.ta) || (a.operands[1] === b.operands[1] && s.tb === t.tb);
}

/** Whether the results of dots lie side by side: each dot shares an operand with another. Otherwise they are terms of a sum, which no dot may join. */
const sideBySide = (dots: readonly Op[]): boolean => dots.length === 1 || dots.every((d) => dots.some((other) => other !== d && share(other, d)));

/** The cluster whose kernel can compute `op` too, or null: its dots have equal sizes, one shares an operand with `op`, and `op` depends on none. */
export function jointHost(op: Op, clusters: readonly Cluster[], latest: (v: Value) => Cluster | null): Cluster | null {
  const fits = (g: Cluster): boolean => {
    if (g.kind !== 'dot') return false;
    const dots = dotsOf(g);
    return (
      dots.length < MOST_RESULTS &&
      sideBySide(dots) &&
      dots.every((d) => resultKey(d) === resultKey(op) && depthKey(d) === depthKey(op)) &&
      dots.some((d) => share(d, op)) &&
      op.operands.every((v) => (latest(v)?.order ?? -1) < g.order)
    );
  };
  return clusters.find(fits) ?? null;
}

/** Whether a cluster computes only dots and their sum `value`, each of which is read once. */
function pureSum(cluster: Cluster, value: Value, readers: ReadonlyMap<Value, number>): boolean {
  const values = [...cluster.members].flatMap((op) => op.results);
  return (
    cluster.kind === 'dot' &&
    [...cluster.members].every((op) => isDot(op) || isPlainSum(op)) &&
    values.every((v) => readers.get(v) === 1) &&
    cluster.members.size === 2 * dotsOf(cluster).length - 1 &&
    values.includes(value)
  );
}

/** If `op` adds up what two clusters of dots compute for it alone: the earlier cluster, and the later one that takes it in. Otherwise null. */
export function sumOfDots(
  op: Op,
  home: ReadonlyMap<Value, Cluster>,
  readers: ReadonlyMap<Value, number>,
): { readonly from: Cluster; readonly into: Cluster } | null {
  const [x, y] = op.operands;
  const [gx, gy] = [x && home.get(x), y && home.get(y)];
  if (!isPlainSum(op) || !x || !y || !gx || !gy || gx === gy || !pureSum(gx, x, readers) || !pureSum(gy, y, readers)) return null;
  const dots = [...dotsOf(gx), ...dotsOf(gy)];
  if (dots.length > MOST_TERMS || new Set(dots.map(resultKey)).size > 1) return null;
  return gx.order < gy.order ? { from: gx, into: gy } : { from: gy, into: gx };
}

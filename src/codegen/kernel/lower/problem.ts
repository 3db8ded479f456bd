/** @file The text that schedules are kept under: what a kernel is to compute. */

import { at } from '../../../errors.ts';
import { dimSize, type Op, type Value } from '../../../ir/types.ts';
import type { Group } from './group.ts';

/** Attributes that say where something is computed, and not what. */
const POSITIONS = new Set(['start', 'size', 'shape', 'axis']);

/** The ops of a group as text. Values are numbered, sizes are rounded to powers of two (with an `r` where four do not divide the last), positions are left out. */
export function problemKey(group: Group, sizes: Readonly<Record<string, number>>): string {
  const numbers = new Map<Value, number>();
  const number = (v: Value): number => {
    const known = numbers.get(v);
    if (known !== undefined) return known;
    numbers.set(v, numbers.size);
    return numbers.size - 1;
  };
  const type = ({ type: { dtype, shape } }: Value): string => {
    const dims = shape.map((d) => dimSize(d, sizes));
    return `${dtype}[${dims.map((d) => 2 ** Math.round(Math.log2(Math.max(1, d)))).join()}]${dims.length === 0 || at(dims, -1) % 4 === 0 ? '' : 'r'}`;
  };
  const attrs = (op: Op): string =>
    Object.entries(op.attrs)
      .filter(([name]) => !POSITIONS.has(name))
      .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
      .join('');
  const reads = group.reads.map((v) => `#${number(v)}:${type(v)}`);
  const ops = group.ops.map(
    (op) => `${op.name}(${op.operands.map((v) => `#${number(v)}`).join()}${attrs(op)})${op.results.map((v) => `#${number(v)}:${type(v)}`).join()}`,
  );
  return `${reads.join(' ')} | ${ops.join(' ')} | ${group.outputs.map((v) => `#${number(v)}`).join()}`;
}

/** @file Kernels that can be cut in several ways: what is to be computed, the ways there are, and who chooses one. */

import { dimSize, type Op, type Value } from '../../ir/types.ts';
import type { AttentionSchedule } from './attention/spec.ts';
import type { Group, Lowered, LowerOptions } from './group.ts';
import type { MatmulSchedule } from './matmulTypes.ts';

export type Schedule = MatmulSchedule | AttentionSchedule;

/** A kernel whose schedule is open. */
export interface ScheduleProblem<S extends Schedule = Schedule> {
  readonly kind: 'matmul' | 'attention';
  /** For people: `dot_gate_proj 512×688×256`, its group and its sizes. */
  readonly name: string;
  /** Its ops with sizes by class: problems of one key share a schedule. */
  readonly key: string;
  /** What a device of this kind starts with. */
  readonly standard: S;
  /** The simplest cut, whose results the others are held to. */
  readonly plain: S;
  /** Others within the device's limits, the likeliest first. */
  readonly candidates: readonly S[];
  /** Whether the device can run a schedule, which may come from a file. */
  readonly fits: (schedule: Schedule) => boolean;
  /** The kernel cut by a schedule. */
  readonly lower: (schedule: S) => Lowered;
}

/** Picks a schedule; the standard one, or one that was measured. */
export type ChooseSchedule = <S extends Schedule>(problem: ScheduleProblem<S>) => S;

const standardSchedule: ChooseSchedule = ({ standard }) => standard;

/** Lowers a problem as the options' chooser wants it. */
export function lowerChosen<S extends Schedule>(problem: ScheduleProblem<S>, { choose = standardSchedule }: LowerOptions): Lowered {
  return problem.lower(choose(problem));
}

/** Attributes that say where, not what. */
const POSITIONS = new Set(['start', 'size', 'shape', 'axis']);

/** The ops of a group as text: values numbered, sizes rounded to powers of two (and whether four divide the last), positions left out. */
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
    return `${dtype}[${dims.map((d) => 2 ** Math.round(Math.log2(Math.max(1, d)))).join()}]${(dims.at(-1) ?? 4) % 4 === 0 ? '' : 'r'}`;
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

/** @file Kernels that can be cut in several ways: what is to be computed, the ways there are, and who chooses one. */

import type { AttentionSchedule } from '../attention/spec.ts';
import type { MatmulSchedule } from '../matmul/schedule.ts';
import type { Lowered } from './lowered.ts';

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
export function lowerChosen<S extends Schedule>(
  problem: ScheduleProblem<S>,
  { choose = standardSchedule }: { readonly choose?: ChooseSchedule | undefined },
): Lowered {
  return problem.lower(choose(problem));
}

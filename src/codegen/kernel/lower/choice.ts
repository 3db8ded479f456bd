/** @file Kernels that can be cut in several ways: what is to be computed, the ways there are, and who chooses one. */

import type { Schedule } from '../schedules.ts';
import type { Lowered } from './lowered.ts';

/** A way of cutting a kernel. */
export interface Choice {
  readonly schedule: Schedule;
  /** The kernel cut so. */
  readonly lower: () => Lowered;
}

/** A kernel whose schedule is open. */
export interface ScheduleProblem {
  readonly kind: 'matmul' | 'attention';
  /** Its group and its sizes, for people: `dot_gate_proj 512×688×256`. */
  readonly name: string;
  /** Its ops with classes of sizes as text. Problems of one key share a schedule. */
  readonly key: string;
  /** What a device of this kind starts with. */
  readonly standard: Choice;
  /** The simplest one, to whose results the others are held. */
  readonly plain: Choice;
  /** Others within the device's limits, the likeliest first. */
  readonly candidates: readonly Choice[];
  /** The choice of a schedule that may come from a file; null where the device cannot run it, or it is for another kernel. */
  readonly choice: (schedule: Schedule) => Choice | null;
}

/** Picks one of a problem's choices: the standard one, or one that was measured. */
export type ChooseSchedule = (problem: ScheduleProblem) => Choice;

/** What makes a problem. */
export interface OpenKernel<S extends Schedule> {
  readonly kind: ScheduleProblem['kind'];
  readonly name: string;
  readonly key: string;
  readonly standard: S;
  readonly plain: S;
  readonly candidates: readonly S[];
  readonly fits: (schedule: Schedule) => schedule is S;
  readonly lower: (schedule: S) => Lowered;
}

/** Lowers a kernel as the options' chooser wants it cut. Without a chooser it has the schedule that its device starts with. */
export function lowerChosen<S extends Schedule>(kernel: OpenKernel<S>, { choose }: { readonly choose?: ChooseSchedule | undefined }): Lowered {
  const choice = (schedule: S): Choice => ({ schedule, lower: () => kernel.lower(schedule) });
  const { kind, name, key } = kernel;
  const problem: ScheduleProblem = {
    kind,
    name,
    key,
    standard: choice(kernel.standard),
    plain: choice(kernel.plain),
    candidates: kernel.candidates.map(choice),
    choice: (schedule) => (kernel.fits(schedule) ? choice(schedule) : null),
  };
  return (choose?.(problem) ?? problem.standard).lower();
}

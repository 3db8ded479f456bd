/** @file Measures the schedules of kernels that a book does not know yet. */

import type { ChooseSchedule, ScheduleProblem } from '../codegen/kernel/lower/choice.ts';
import type { Value } from '../ir/types.ts';
import type { Device } from '../runtime/device.ts';
import type { Extent, Sizes } from '../runtime/program.ts';
import type { Entry, ScheduleBook } from './book.ts';
import { createOperands, prepareKernel } from './prepared.ts';
import { race } from './race.ts';

/** A problem with what its kernels are run at. */
export interface OpenProblem {
  readonly problem: ScheduleProblem;
  readonly dims: readonly string[];
  readonly sizes: Sizes;
}

export interface TuneOptions {
  readonly device: Device;
  readonly book: ScheduleBook;
  readonly extentOf: (value: Value) => Extent;
  /** Milliseconds for everything. */
  readonly budgetMs: number;
  /** Milliseconds for one problem. */
  readonly perProblemMs?: number;
  /** Milliseconds for which the device is kept at work before it measures; default 0. See `RaceOptions`. */
  readonly warmMs?: number;
  /** Told before each problem, with the milliseconds that are left of the budget. */
  readonly onProblem?: (done: number, total: number, leftMs: number) => void;
  /** Asked before each problem; true ends the measuring. */
  readonly stop?: () => boolean;
  readonly now?: () => number;
}

/** A chooser that takes the standard schedules and notes the problems it is asked for that `book` does not know. */
export function collector(book: ScheduleBook, dims: readonly string[], sizes: Sizes): { readonly choose: ChooseSchedule; readonly open: () => OpenProblem[] } {
  const found = new Map<string, OpenProblem>();
  return {
    choose: (problem) => {
      if (!Object.hasOwn(book.entries, problem.key) && !found.has(problem.key)) found.set(problem.key, { problem, dims, sizes });
      return problem.standard;
    },
    open: () => [...found.values()],
  };
}

/** Measures problems in turn until the budget is spent; returns the book with what came out, and how many problems are left. */
export async function tune(problems: readonly OpenProblem[], options: TuneOptions): Promise<{ readonly book: ScheduleBook; readonly left: number }> {
  const { device, budgetMs, onProblem, stop, now = () => performance.now() } = options;
  const deadline = now() + budgetMs;
  const entries: Record<string, Entry> = { ...options.book.entries };
  let done = 0;
  for (const { problem, dims, sizes } of problems) {
    if (now() >= deadline || stop?.()) break;
    onProblem?.(done, problems.length, deadline - now());
    const operands = await createOperands(device, dims, sizes, options.extentOf);
    const end = Math.min(deadline, now() + (options.perProblemMs ?? 5000));
    const trials = await race(problem, { prepare: ({ lower }) => prepareKernel(device, lower(), operands, sizes), now, end, warmMs: options.warmMs });
    operands.destroy();
    if (trials.length > 0) entries[problem.key] = { name: problem.name, kind: problem.kind, trials };
    done++;
  }
  return { book: { ...options.book, entries }, left: problems.length - done };
}

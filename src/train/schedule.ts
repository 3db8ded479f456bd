/** @file Learning rates as transformers' optimization.py defines them: a factor of the base rate, by step. */

export type LearningSchedule = 'constant' | 'linear' | 'cosine';

/** Factor at `step` (from 0): linear warm-up over `warmupSteps`, then constant, linear to 0, or half a cosine to 0 at `totalSteps`. */
export function scheduleFactor(kind: LearningSchedule, step: number, warmupSteps: number, totalSteps: number): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const left = Math.max(1, totalSteps - warmupSteps);
  if (kind === 'linear') return Math.max(0, (totalSteps - step) / left);
  if (kind === 'cosine') return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmupSteps)) / left)));
  return 1;
}

/** The steps that a learning rate follows a schedule over. */
export interface ScheduledSteps {
  readonly schedule: LearningSchedule;
  readonly warmupSteps: number;
  readonly steps: number;
  /** Where the schedule has fewer steps than the run, which keeps the last rate from then on. */
  readonly scheduleSteps?: number | undefined;
}

/** The factor of the base rate at a step of a run, from 0. */
export function rateFactor({ schedule, warmupSteps, steps, scheduleSteps }: ScheduledSteps, step: number): number {
  if (scheduleSteps === undefined) return scheduleFactor(schedule, step, warmupSteps, steps);
  return scheduleFactor(schedule, Math.min(step, scheduleSteps - 1), warmupSteps, scheduleSteps);
}

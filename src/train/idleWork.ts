/** @file Work that does nothing: steps that update nothing, found from the run's own draws before it begins, and rates that move nothing. */

import type { Draw, DropPlan } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import { formsOfCalls } from '../runtime/link/forms.ts';
import type { Program } from '../runtime/program.ts';
import type { RunConfig } from './config.ts';
import { drawPattern } from './patterns.ts';
import type { RunLength } from './runLength.ts';
import { skipsBackward } from './step.ts';

type IdleConfig = Pick<RunConfig, 'optimizer' | 'warmupSteps' | 'accumulate' | 'allDropped' | 'missingGrad' | 'seed'>;

/** A longer run is looked at in so many of its draws. */
const MOST_DRAWS = 4096;

/** Whether a micro-batch gives some parameter a gradient. */
function learns(program: Program, draw: Draw): boolean {
  const isTrained = (param: number): boolean => program.params[param]?.trainable === true;
  return formsOfCalls(program, drawPattern(draw), false).some(
    ({ call, backward, wants }) => backward !== null && call.arguments.some((a, k) => a.kind === 'param' && wants[k] === true && isTrained(a.param)),
  );
}

/** The steps of a run that were looked at, and those of them in which no parameter gets a gradient. */
interface IdleSteps {
  readonly looked: number;
  readonly idle: number;
  /** Whether all units are dropped in each of the idle ones, rather than those alone that hold something to train. */
  readonly dropsAll: boolean;
}

function idleSteps(config: IdleConfig, program: Program, plan: DropPlan, { steps, microBatches }: RunLength): IdleSteps {
  const { accumulate, allDropped, seed } = config;
  const units = program.calls.filter((c) => c.unit).length;
  const known = new Map<string, boolean>();
  const learnsIn = (draw: Draw): boolean => {
    if (skipsBackward(allDropped, draw, units)) return false;
    const key = [...draw.dropped, '|', ...(draw.skipped ?? [])].join();
    const found = known.get(key) ?? learns(program, draw);
    known.set(key, found);
    return found;
  };
  // the rates of later steps are not known before sensitivities are measured
  const looked = Math.min(steps, plan.measure?.at ?? steps, Math.max(1, Math.floor(MOST_DRAWS / accumulate)));
  let [idle, dropsAll] = [0, true];
  for (let step = 0; step < looked; step++) {
    const count = Math.min(accumulate, microBatches - step * accumulate);
    const draws = Array.from({ length: count }, (_, micro) => plan.draw({ seed, step, micro, microBatches: accumulate }));
    if (draws.some(learnsIn)) continue;
    idle++;
    dropsAll &&= draws.every(({ dropped, skipped = [] }) => dropped.length + skipped.length === units);
  }
  return { looked, idle, dropsAll };
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/**
 * What is to be said of the work of a run that does nothing.
 * @throws EbbError for a run in which no step updates anything
 */
export function idleWork(config: IdleConfig, program: Program, plan: DropPlan, length: RunLength): readonly string[] {
  const { optimizer, warmupSteps, missingGrad, allDropped } = config;
  const { steps } = length;
  const { looked, idle, dropsAll } = idleSteps(config, program, plan, length);
  const what = dropsAll ? 'all units' : 'all units that hold something to train';
  if (idle > 0 && idle === looked && !plan.measure)
    throw new EbbError(
      `drop: no step of the run updates anything: ${what} are dropped in each of ${plural(looked, 'step')}${allDropped === 'skip' ? ', and allDropped is skip' : ', and nothing that is trained lies above them'}; drop less, or leave drop out`,
      'config',
    );
  const does = missingGrad === 'zeros' ? 'compute no gradient' : 'update nothing';
  const ofSteps = looked < steps ? `the first ${plural(looked, 'step')}` : plural(steps, 'step');
  return [
    ...(idle > 0 ? [`${idle} of ${ofSteps} ${does}: ${what} are dropped in them; a lower drop rate makes them fewer`] : []),
    ...(optimizer.lr === 0 ? ['optimizer.lr is 0, so no step changes a weight'] : []),
    ...(optimizer.lr > 0 && warmupSteps >= steps
      ? [`warmupSteps is ${warmupSteps} and the run has ${plural(steps, 'step')}, so the learning rate never rises to optimizer.lr (${optimizer.lr})`]
      : []),
  ];
}

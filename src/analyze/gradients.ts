/** @file Compares gradients of steps under drop patterns with the full ones on the device, parameter by parameter, so that few copies are held. */

import { type BatchFidelity, dot, fidelitySums } from '../dropbp/fidelity/fidelity.ts';
import { createDropPlan, type DropPlan, type DropPlanConfig } from '../dropbp/plans/index.ts';
import { hash } from '../dropbp/random.ts';
import { at, EbbError, get } from '../errors.ts';
import { usersOf } from '../runtime/link/probe.ts';
import type { Program } from '../runtime/program.ts';
import { planModel, type TrainerOptions, unitsOf } from '../train/loop.ts';
import { stepMicros } from '../train/step.ts';

type RunSource = Pick<TrainerOptions, 'engine' | 'config' | 'batches'>;

export interface GradientOptions extends RunSource {
  /** The drop plans that are compared with dropping nothing. */
  readonly plans: readonly DropPlanConfig[];
  /** Number of steps whose batches are taken. */
  readonly steps: number;
  /** Number of patterns of each plan on each batch, 2 or more. */
  readonly patterns: number;
  readonly onGradient?: (done: number, total: number) => void;
}

export interface GradientReport {
  /** The units, in the order of `groups` below. */
  readonly units: readonly string[];
  /** With nothing dropped, by batch: the mean cosine with the full gradients of other batches. Null where there is one batch. */
  readonly none: readonly (number | null)[];
  /** By plan, then by batch. `groups` are by unit. */
  readonly plans: readonly (readonly BatchFidelity[])[];
}

/** The trainable parameters in groups: one for each unit, and a last one for those of the trunk and those that several calls share. */
interface ParameterGroups {
  /** Indices among the program's parameters. The place of a parameter in this list is its place in a gradient. */
  readonly params: readonly number[];
  /** The group of each of them. */
  readonly groupOf: readonly number[];
  readonly groups: number;
}

/** A gradient with one array a parameter. */
type Gradient = readonly Float32Array[];

/** Takes a parameter's gradient by its place; null where the parameter got none. */
type TakeGradient = (place: number, gradient: Float32Array | null) => void;

/** Runs a step under a plan, with the plan's `pattern`-th seed, and hands over every parameter's gradient. */
type RunStep = (plan: DropPlan, step: number, pattern: number, take: TakeGradient) => Promise<void>;

function parameterGroups(program: Program, units: readonly string[]): ParameterGroups {
  const users = usersOf(program);
  const params = program.params.flatMap((p, i) => (p.trainable && users.has(i) ? [i] : []));
  const groupOf = params.map((param) => {
    const [first, ...others] = [...get(users, param)].map((call) => at(program.calls, call).site);
    const unit = first !== undefined && others.length === 0 ? units.indexOf(first) : -1;
    return unit < 0 ? units.length : unit;
  });
  return { params, groupOf, groups: units.length + 1 };
}

/** First counter of the seeds that patterns are drawn from; other users of a run's seed have other counters. */
const PATTERN_SEEDS = 6;

/** The plan's draws for the micro-batches of a step under its `pattern`-th seed. */
function drawsOf(plan: DropPlan, { config }: RunSource, step: number, pattern: number) {
  const { accumulate, seed } = config;
  return Array.from({ length: accumulate }, (_, micro) => plan.draw({ seed: hash(seed, PATTERN_SEEDS, pattern), step, micro, microBatches: accumulate }));
}

/**
 * Measures how far the gradients of plans are from the full ones. It holds the full gradient, the sum of the directions of all full
 * gradients, and the sum of differences: three times what is trained. It updates no parameter.
 * @throws EbbError for a step whose full gradient is zero
 */
export async function measureGradients(options: GradientOptions): Promise<GradientReport> {
  const { engine, config, steps, patterns } = options;
  const units = unitsOf(engine);
  const groups = parameterGroups(engine.program, units);
  const model = planModel(engine, config.steps);
  const full = createDropPlan({ kind: 'none' }, model);
  const plans = options.plans.map((plan) => ({ plan: createDropPlan(plan, model), batches: [] as BatchFidelity[] }));
  const run = stepRunner(options, groups, steps * ((steps > 1 ? 2 : 1) + plans.length * patterns));

  const own = zeroGradient(engine.program, groups);
  const directions = steps > 1 ? { sum: zeroGradient(engine.program, groups), others: steps - 1 } : null;
  const readFull = (step: number): Promise<number> => readGradient((take) => run(full, step, 0, take), own, step);
  if (directions) for (let step = 0; step < steps; step++) addDirection(directions.sum, own, await readFull(step), 1);
  const none: (number | null)[] = [];
  for (let step = 0; step < steps; step++) {
    const norm = await readFull(step);
    // while a batch is compared, the directions are those of the other batches
    if (directions) addDirection(directions.sum, own, norm, -1);
    none.push(directions && dotOf(own, directions.sum) / norm / directions.others);
    for (const { plan, batches } of plans) {
      const sums = fidelitySums({ full: own, ...groups, directions });
      for (let pattern = 0; pattern < patterns; pattern++) {
        await run(plan, step, pattern, (place, gradient) => sums.add(place, gradient));
        sums.next();
      }
      const found = sums.result();
      batches.push({ ...found, groups: found.groups.slice(0, units.length) });
    }
    if (directions) addDirection(directions.sum, own, norm, 1);
  }
  return { units, none, plans: plans.map(({ batches }) => batches) };
}

/** Returns the function that runs a step. @param total the number of steps that will be run, for progress */
function stepRunner(options: GradientOptions, { params }: ParameterGroups, total: number): RunStep {
  const { engine, onGradient } = options;
  const placeOf = new Map(params.map((param, place) => [param, place]));
  let done = 0;
  return async (plan, step, pattern, take) => {
    const { micros } = stepMicros(options, step, drawsOf(plan, options, step, pattern));
    const result = engine.step(micros, null);
    await result.read();
    const touched = new Set(result.variants.flatMap((v) => [...v.touched]));
    for (const [place, param] of params.entries()) if (!touched.has(param)) take(place, null);
    for await (const [param, gradient] of engine.readGradients(params.filter((p) => touched.has(p)))) take(get(placeOf, param), gradient);
    onGradient?.(++done, total);
  };
}

const zeroGradient = (program: Program, { params }: ParameterGroups): Float32Array[] =>
  params.map((param) => new Float32Array(at(program.params, param).bytes / 4));

/** Reads the gradient that `run` hands over into `into`, and returns its norm. @throws EbbError where it is zero */
async function readGradient(run: (take: TakeGradient) => Promise<void>, into: Gradient, step: number): Promise<number> {
  let square = 0;
  await run((place, gradient) => {
    if (gradient === null) at(into, place).fill(0);
    else {
      at(into, place).set(gradient);
      square += dot(gradient, gradient);
    }
  });
  if (!Number.isFinite(square))
    throw new EbbError(`step ${step + 1}: the gradient with nothing dropped is not finite, so nothing can be compared with it`, 'numbers');
  if (square === 0) throw new EbbError(`step ${step}: the gradient is zero; its batch has nothing to learn, or nothing that is trained reaches the loss`);
  return Math.sqrt(square);
}

/** Adds `sign` · gradient/norm to `sum`. */
function addDirection(sum: Gradient, gradient: Gradient, norm: number, sign: 1 | -1): void {
  sum.forEach((values, place) => {
    const g = at(gradient, place);
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (sign * (g[i] as number)) / norm;
  });
}

const dotOf = (a: Gradient, b: Gradient): number => a.reduce((sum, g, place) => sum + dot(g, at(b, place)), 0);

/** @file Gradients of steps on the device against those of patterns, parameter by parameter, so that few copies of them are held. */

import { type BatchFidelity, dot, fidelitySums } from '../dropbp/fidelity/fidelity.ts';
import { createDropPlan, type DropPlan, type DropPlanConfig } from '../dropbp/plans/index.ts';
import { hash } from '../dropbp/random.ts';
import { EbbError } from '../errors.ts';
import { usersOf } from '../runtime/link/probe.ts';
import type { Program } from '../runtime/program.ts';
import { planModel, type TrainerOptions, unitsOf } from '../train/loop.ts';
import { stepMicros } from '../train/step.ts';

type Source = Pick<TrainerOptions, 'engine' | 'config' | 'batches'>;

export interface GradientOptions extends Source {
  /** What is compared with dropping nothing. */
  readonly plans: readonly DropPlanConfig[];
  /** Steps whose batches are taken. */
  readonly steps: number;
  /** Patterns of each plan on each of them, 2 or more. */
  readonly patterns: number;
  readonly onGradient?: (done: number, total: number) => void;
}

/** By batch, for each plan. */
export interface GradientReport {
  /** Groups of parameters: the units that have some to train. */
  readonly units: readonly string[];
  /** With nothing dropped: mean cosine with the full gradients of other batches; null where there is one batch. */
  readonly none: readonly (number | null)[];
  /** By plan, then by batch; `groups` are by unit. */
  readonly plans: readonly (readonly BatchFidelity[])[];
}

/** Groups of the trainable parameters: each unit's own, and all that is the trunk's or shared. */
function parameterGroups(program: Program, units: readonly string[]): { readonly params: readonly number[]; readonly groupOf: readonly number[] } {
  const users = usersOf(program);
  const params = program.params.flatMap((p, i) => (p.trainable && users.has(i) ? [i] : []));
  const groupOf = params.map((param) => {
    const sites = [...(users.get(param) ?? [])].map((call) => program.calls[call]?.site ?? '');
    const unit = sites.length === 1 ? units.indexOf(sites[0] ?? '') : -1;
    return unit < 0 ? units.length : unit;
  });
  return { params, groupOf };
}

const RESEEDED = 6;

/** The plan's draws of a step under its `pattern`-th seed. */
function drawsOf(plan: DropPlan, { config }: Source, step: number, pattern: number) {
  const { accumulate, seed } = config;
  return Array.from({ length: accumulate }, (_, micro) => plan.draw({ seed: hash(seed, RESEEDED, pattern), step, micro, microBatches: accumulate }));
}

/**
 * Measures how far gradients of plans are from the full ones. Holds the full gradient, the sum of the directions of all of them, and the
 * sum of differences: three times what is trained. Updates nothing.
 * @throws EbbError for a step whose full gradient is zero
 */
export async function measureGradients(options: GradientOptions): Promise<GradientReport> {
  const { engine, config, plans, steps, patterns, onGradient } = options;
  const units = unitsOf(engine);
  const { params, groupOf } = parameterGroups(engine.program, units);
  const at = new Map(params.map((param, i) => [param, i]));
  // of patterns alone, whose plans do not change with the steps of a run
  const made = [{ kind: 'none' } as const, ...plans].map((plan) => createDropPlan(plan, planModel(engine, config.steps)));
  const [full, ...dropping] = made as [DropPlan, ...DropPlan[]];
  const total = steps * ((steps > 1 ? 2 : 1) + plans.length * patterns);
  let done = 0;
  /** Runs a step and hands over each parameter's gradient, by its place among the trainable ones; null for none. */
  const run = async (plan: DropPlan, step: number, pattern: number, take: (place: number, gradient: Float32Array | null) => void): Promise<void> => {
    const { micros } = stepMicros(options, step, drawsOf(plan, options, step, pattern));
    const result = engine.step(micros, null);
    await result.read();
    const touched = new Set(result.variants.flatMap((v) => [...v.touched]));
    for (const [place, param] of params.entries()) if (!touched.has(param)) take(place, null);
    for await (const [param, gradient] of engine.readGradients(params.filter((p) => touched.has(p)))) take(at.get(param) ?? -1, gradient);
    onGradient?.(++done, total);
  };
  const zeros = (): Float32Array[] => params.map((param) => new Float32Array((engine.program.params[param]?.bytes ?? 0) / 4));
  const read = async (step: number, into: readonly Float32Array[]): Promise<number> => {
    let square = 0;
    await run(full, step, 0, (place, gradient) => {
      if (gradient === null) into[place]?.fill(0);
      else {
        into[place]?.set(gradient);
        square += dot(gradient, gradient);
      }
    });
    if (square === 0) throw new EbbError(`step ${step}: the gradient is zero; its batch has nothing to learn, or nothing that is trained reaches the loss`);
    return Math.sqrt(square);
  };

  const [own, directions] = [zeros(), zeros()];
  const towards = (sign: number, norm: number): void =>
    directions.forEach((sum, place) => {
      const g = own[place] as Float32Array;
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (sign * (g[i] as number)) / norm;
    });
  if (steps > 1) for (let step = 0; step < steps; step++) towards(1, await read(step, own));
  const none: (number | null)[] = [];
  const others = steps - 1;
  const found = plans.map((): BatchFidelity[] => []);
  for (let step = 0; step < steps; step++) {
    const norm = await read(step, own);
    if (others > 0) towards(-1, norm);
    none.push(others > 0 ? own.reduce((sum, g, place) => sum + dot(g, directions[place] as Float32Array), 0) / norm / others : null);
    for (const [k, plan] of dropping.entries()) {
      const sums = fidelitySums({ full: own, groupOf, groups: units.length + 1, directions: others > 0 ? { sum: directions, others } : null });
      for (let pattern = 0; pattern < patterns; pattern++) {
        await run(plan, step, pattern, (place, gradient) => sums.add(place, gradient));
        sums.next();
      }
      const result = sums.result();
      found[k]?.push({ ...result, groups: result.groups.slice(0, units.length) });
    }
    if (others > 0) towards(1, norm);
  }
  return { units, none, plans: found };
}

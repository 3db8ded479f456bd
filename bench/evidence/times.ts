/** @file Times the steps of all settings in turns on one engine, so that what slows the machine down slows them all. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDropPlan, type DropPlanConfig } from '../../src/dropbp/plans/index.ts';
import { at } from '../../src/errors.ts';
import type { Engine, Update } from '../../src/runtime/execute.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import type { Batch } from '../../src/train/batches.ts';
import { type Measured, microBatch, planModel } from '../../src/train/loop.ts';
import { updateScalar } from '../../src/train/optimizer.ts';
import { drawPattern } from '../../src/train/patterns.ts';
import { minimum } from '../stats.ts';
import { FILES } from './run.ts';
import type { RunSetting } from './settings.ts';
import type { Subject } from './subjects.ts';
import { configOf, type Workbench } from './workbench.ts';

/** The times of one setting. By round: the milliseconds of the faster of two steps with that round's pattern, and the FLOPs of one. */
export interface SettingTimes {
  readonly name: string;
  readonly ms: readonly number[];
  readonly flops: readonly number[];
}

export interface Times {
  readonly settings: readonly SettingTimes[];
  /** Milliseconds of measuring sensitivities, each time. */
  readonly probeMs: readonly number[];
}

/** The file with the times, in the folder of the runs. */
export const TIMES = 'times.json';
const PROBES = 3;
const SEED = 1;

/** The step of the run that a round does, with its batch and its pattern. */
const stepOf = (round: number, rounds: number, steps: number): number => Math.floor(((round + 0.5) * steps) / rounds);

/** The sensitivities that the run of the first seed measured, for plans that use them. Undefined where it measured none. */
function sensitivitiesOf(folder: string): readonly number[] | undefined {
  const file = join(folder, FILES.measured);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Measured).sensitivities : undefined;
}

/** Runs a step. Its learning rate is 0, so it changes no parameter. */
async function timed(engine: Engine, subject: Subject, drop: DropPlanConfig, batch: Batch, step: number, sensitivities: readonly number[] | undefined) {
  const { optimizer, clip } = configOf(subject, { drop, seed: SEED, out: 'unused', steps: subject.steps });
  const draw = createDropPlan(drop, planModel(engine, subject.steps)).draw({ seed: SEED, step, micro: 0, microBatches: 1, sensitivities });
  const scalar = (name: string, site: string): number =>
    (name === 'branch_weight' ? draw.weights?.get(site) : name === 'branch_scale' ? draw.scales?.get(site) : undefined) ?? neutralScalar(name);
  const micro = { ...microBatch(batch, draw.dropped, scalar), pattern: drawPattern(draw) };
  const update: Update = { optimizer: optimizer.name, maxNorm: clip, alsoUntouched: false, scalar: (name) => updateScalar(optimizer, 0, name) };
  const started = performance.now();
  const result = engine.step([micro], update);
  await result.read();
  return { ms: performance.now() - started, flops: result.forwardFlops + result.backwardFlops };
}

/** Times steps of all settings, and then the probe of sensitivities. @param runs the folder of the model's runs */
export async function measureTimes(bench: Workbench, settings: readonly RunSetting[], rounds: number, runs: string): Promise<Times> {
  const { subject } = bench;
  const { train } = await bench.dataAt(SEED);
  const rows: { readonly setting: RunSetting; readonly engine: Engine; readonly ms: number[]; readonly flops: number[] }[] = [];
  for (const setting of settings) rows.push({ setting, engine: await bench.engineAt(setting.drop, SEED), ms: [], flops: [] });
  for (let round = 0; round < rounds; round++) {
    const step = stepOf(round, rounds, subject.steps);
    const batch = train.at(step);
    // the first step with a batch of a new size takes longer than the others
    for (const engine of new Set(rows.map((r) => r.engine))) await timed(engine, subject, { kind: 'none' }, batch, step, undefined);
    for (const { setting, engine, ms, flops } of rows) {
      const sensitivities = sensitivitiesOf(join(runs, setting.name, `seed-${SEED}`));
      const once = () => timed(engine, subject, setting.drop, batch, step, sensitivities);
      const twice = [await once(), await once()];
      ms.push(minimum(twice.map((t) => t.ms)));
      flops.push(at(twice, 0).flops);
    }
    console.log(`round ${round + 1} of ${rounds}`);
  }
  const probeMs: number[] = [];
  const engine = await bench.engineAt({ kind: 'none' }, SEED);
  for (let k = 0; k < PROBES; k++) {
    const started = performance.now();
    await engine.probe(microBatch(train.at(0), [], neutralScalar));
    probeMs.push(performance.now() - started);
  }
  return { settings: rows.map(({ setting, ms, flops }) => ({ name: setting.name, ms, flops })), probeMs };
}

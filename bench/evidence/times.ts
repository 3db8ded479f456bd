/** @file Times the steps of all settings in turns on one engine for each program, so that what slows the machine down slows them all. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at } from '../../src/errors.ts';
import {
  createDropPlan,
  type DropPlanConfig,
  drawPattern,
  type Engine,
  type Measured,
  planModel,
  type RunBatch,
  type RunBatches,
  scalesBranches,
  updateScalar,
} from '../../src/index.ts';
import type { Update } from '../../src/runtime/index.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { minimum } from '../stats.ts';
import { FILES } from './run.ts';
import type { RunSetting } from './settings.ts';
import type { Subject } from './subjects.ts';
import { configOf, openProgram, openRunOf, type Workbench } from './workbench.ts';

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
async function timed(engine: Engine, subject: Subject, drop: DropPlanConfig, batch: RunBatch, step: number, sensitivities: readonly number[] | undefined) {
  const { optimizer, clip } = configOf(subject, { drop, seed: SEED, out: 'unused', steps: subject.steps });
  const draw = createDropPlan(drop, planModel(engine, subject.steps)).draw({ seed: SEED, step, micro: 0, microBatches: 1, sensitivities });
  const scalar = (name: string, site: string): number =>
    (name === 'branch_weight' ? draw.weights?.get(site) : name === 'branch_scale' ? draw.scales?.get(site) : undefined) ?? neutralScalar(name);
  const micro = { sizes: batch.sizes, inputs: batch.inputs, pattern: drawPattern(draw), scalar };
  const update: Update = { optimizer: optimizer.name, maxNorm: clip, alsoUntouched: false, scalar: (name) => updateScalar(optimizer, 0, name) };
  const started = performance.now();
  const result = engine.step([micro], update);
  await result.read();
  return { ms: performance.now() - started, flops: result.forwardFlops + result.backwardFlops };
}

/** The micro-batches of the runs of the first seed. */
async function batchesOf(bench: Workbench): Promise<RunBatches> {
  const out = mkdtempSync(join(tmpdir(), 'ebb-evidence-'));
  const run = await openRunOf(bench, { drop: { kind: 'none' }, seed: SEED, out, steps: bench.subject.steps }, () => {});
  run.close();
  rmSync(out, { recursive: true });
  return run.batches;
}

/** Times steps of all settings, and then the probe of sensitivities. @param runs the folder of the model's runs */
export async function measureTimes(bench: Workbench, settings: readonly RunSetting[], rounds: number, runs: string): Promise<Times> {
  const { subject } = bench;
  const train = await batchesOf(bench);
  const { engine: plain } = await openProgram(bench, { kind: 'none' }, SEED);
  const scaling = settings.find(({ drop }) => scalesBranches(drop));
  const scaled = scaling ? (await openProgram(bench, scaling.drop, SEED)).engine : plain;
  const rows = settings.map((setting) => ({ setting, engine: scalesBranches(setting.drop) ? scaled : plain, ms: [] as number[], flops: [] as number[] }));
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
  const { sizes, inputs } = train.at(0);
  for (let k = 0; k < PROBES; k++) {
    const started = performance.now();
    await plain.probe({ sizes, inputs, scalar: neutralScalar });
    probeMs.push(performance.now() - started);
  }
  for (const engine of new Set([plain, scaled])) engine.destroy();
  return { settings: rows.map(({ setting, ms, flops }) => ({ name: setting.name, ms, flops })), probeMs };
}

/** @file `ebb analyze`: what dropping would do to a run, measured on its own model and data. */

import { type AnalyzeReport, fidelityReport, type MemoryReport, type RatesReport, type TimeReport } from '../analyze/report.ts';
import { readCurve } from '../analyze/runCurve.ts';
import { ALLOCATIONS, allocateRates } from '../dropbp/allocation/index.ts';
import { recommend, type Trial } from '../dropbp/fidelity/recommend.ts';
import { createPlan } from '../dropbp/plans/index.ts';
import type { SamplerName } from '../dropbp/sampling/index.ts';
import { EbbError } from '../errors.ts';
import type { CommandDevice } from '../node/device.ts';
import type { Engine } from '../runtime/execute.ts';
import { bytesOfKinds } from '../runtime/memory.ts';
import { measureGradients } from '../train/analysis/gradients.ts';
import { ownWay, planOf, type Sensing, type Setting, type Spread, settingName, settingsOf, type Weighted } from '../train/analysis/settings.ts';
import { type StepTime, timeSteps } from '../train/analysis/timing.ts';
import type { RunConfig } from '../train/config.ts';
import { measureSensitivities, planModel, type TrainConfig, unitsOf } from '../train/loop.ts';
import { startEngine } from '../trainer/engine.ts';
import { planRunMemory } from '../trainer/memory.ts';
import { piecePrinter } from '../trainer/progress.ts';
import { stepsOf, withRunData } from '../trainer/run.ts';
import { compileRun, openRunModel, readyText } from './train.ts';

export interface AnalyzeOptions {
  readonly rates: readonly number[];
  /** Null: as the run's own plan spreads a rate. */
  readonly spreads: readonly Spread[] | null;
  readonly samplings: readonly SamplerName[];
  /** Steps whose batches are taken. */
  readonly batches: number;
  /** Patterns of a setting on each of them. */
  readonly patterns: number;
  readonly rounds: number;
  /** Folders of runs to show. */
  readonly runs: readonly string[];
  readonly say: (line: string) => void;
}

/** Draws that a run's memory is planned for. */
const DRAWS = 256;

/** What of a config a reader wants to know. */
function runFacts({ batch, length, accumulate, lora, optimizer, seed }: RunConfig): Readonly<Record<string, string>> {
  const trained = lora === false ? 'all weights' : lora.from === undefined ? `LoRA of rank ${lora.rank}` : `LoRA ${lora.from}`;
  return {
    batch: `${batch}`,
    length: `${length}`,
    ...(accumulate > 1 ? { accumulate: `${accumulate}` } : {}),
    trains: trained,
    optimizer: optimizer.name,
    seed: `${seed}`,
  };
}

/** Analyses a run. Nothing is written. @throws EbbError */
export async function analyzeRun(config: RunConfig, opened: CommandDevice, options: AnalyzeOptions): Promise<AnalyzeReport> {
  // what is wrong with them is known before anything is measured
  const runs = options.runs.map(readCurve);
  const run = await openRunModel(config);
  return withRunData(config, run.source, async (data) => {
    const compiled = await compileRun(config, run, opened, data, { say: options.say });
    const { train } = await data.loaded;
    const { accumulate: micros, optimizer, decay, seed } = config;
    const starting = performance.now();
    const engine = await startEngine(opened.device, compiled.model, compiled.weights, { micros, optimizer: optimizer.name, decay, seed, probes: 'norms' });
    options.say(readyText(config, opened, compiled)(engine, performance.now() - starting));
    try {
      const steps = stepsOf(config, { train, held: null });
      const measured = await measure({ ...config, steps }, engine, train.source, opened.device.limits.maxBufferSize, options);
      return { model: config.model, data: config.data, device: opened.opened.name, run: runFacts(config), ...measured, runs };
    } finally {
      engine.destroy();
    }
  });
}

type Batches = Parameters<typeof timeSteps>[0]['batches'];

/** A setting whose rates are out of reach, or whose weights are not finite, is left out and said. */
function feasible<S extends Setting>(
  settings: readonly S[],
  sensing: Sensing,
  engine: Engine,
  steps: number,
): { readonly kept: readonly S[]; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const kept = settings.filter((setting) => {
    try {
      createPlan(planOf(setting, sensing), planModel(engine, steps));
      return true;
    } catch (error) {
      if (!(error instanceof EbbError)) throw error;
      notes.push(`${settingName(setting)} is left out: ${error.message}`);
      return false;
    }
  });
  return { kept, notes };
}

async function measure(
  config: RunConfig & TrainConfig,
  engine: Engine,
  batches: Batches,
  maxBufferSize: number,
  options: AnalyzeOptions,
): Promise<Omit<AnalyzeReport, 'model' | 'data' | 'device' | 'run' | 'runs'>> {
  const { rates, samplings, batches: count, patterns, rounds, say } = options;
  const source = { engine, config, batches };
  const units = unitsOf(engine);
  if (units.length === 0) throw new EbbError(`${config.model}: has no units, so there is nothing to drop; mark residual branches with unit()`);
  const own = ownWay(config.drop);
  const sensed = await measureSensitivities(source, 0, count * config.accumulate);
  say(`sensitivities measured in ${(sensed.ms / 1000).toFixed(1)} s`);
  const sensing: Sensing = { ...own, sensitivities: Object.fromEntries(units.map((u, i) => [u, sensed.sensitivities[i] ?? 0])) };
  const model = planModel(engine, config.steps);
  const costs = Object.keys(own.costs).length > 0 ? units.map((u) => own.costs[u] ?? 0) : model.costs;

  const settings = feasible(settingsOf(rates, options.spreads ?? [own.spread], samplings), sensing, engine, config.steps);
  const weighted = feasible(
    settings.kept.flatMap((setting): Weighted[] => [
      { ...setting, weights: false },
      { ...setting, weights: true },
    ]),
    sensing,
    engine,
    config.steps,
  );

  const timing = piecePrinter('timing steps');
  const [full, ...times] = (await timeSteps({
    ...source,
    plans: [null, ...settings.kept].map((setting) => planOf(setting, sensing)),
    patterns,
    rounds,
    onRound: timing.at,
  })) as [StepTime, ...StepTime[]];
  timing.end();
  const gradients = count * weighted.kept.length * patterns;
  say(
    `${gradients} gradients to compare, about ${Math.ceil((gradients * full.ms) / 1000)} s and what reading them takes; fewer --batches, --patterns or --samplings make it shorter`,
  );
  const comparing = piecePrinter('comparing gradients');
  const compared = await measureGradients({
    ...source,
    plans: weighted.kept.map((setting) => planOf(setting, sensing)),
    steps: count,
    patterns,
    onGradient: comparing.at,
  });
  comparing.end();

  const timeOf = ({ ms, medianMs, flops }: StepTime): TimeReport => ({
    ms,
    medianMs,
    flopsShare: flops / full.flops,
    predictedMs: (full.ms * flops) / full.flops,
  });
  const { memoryBudget, ...free } = config;
  const memoryOf = (setting: Setting | null, { peakBytes }: StepTime): MemoryReport => {
    const drawn = Math.max(1, Math.min(config.steps, Math.ceil(DRAWS / config.accumulate)));
    const { buffers, total, worst } = planRunMemory(free, engine.program, createPlan(planOf(setting, sensing), model), drawn, maxBufferSize);
    const [stack, slots] = [bytesOfKinds(buffers, 'activations'), bytesOfKinds(buffers, 'residuals')];
    return { plannedBytes: total - stack + worst.stackBytes, usedBytes: total - stack - slots + peakBytes };
  };
  const bySetting = new Map(
    settings.kept.map((setting, i) => [settingName(setting), { time: times[i] as StepTime, memory: memoryOf(setting, times[i] as StepTime) }]),
  );
  const measuredOf = ({ rate, spread, sampling }: Setting) =>
    bySetting.get(settingName({ rate, spread, sampling })) as { time: StepTime; memory: MemoryReport };
  const none: Trial = {
    name: 'nothing dropped',
    ms: full.ms,
    roundMs: full.roundMs,
    cosine: compared.none.map(() => 1),
    progress: allOf(compared.none),
  };
  const trials = weighted.kept.map((setting, i): Trial => {
    const found = compared.plans[i] ?? [];
    const { time } = measuredOf(setting);
    return {
      name: settingName(setting),
      ms: time.ms,
      roundMs: time.roundMs,
      cosine: found.map((b) => b.whole.cosine),
      progress: allOf(found.map((b) => b.progress)),
    };
  });
  const recommendation = recommend(none, trials, units.length);
  return {
    units,
    sizes: { batches: count, patterns, rounds },
    sensitivities: sensed.sensitivities,
    sensitivitiesMs: sensed.ms,
    costs,
    rates: rates.flatMap((rate) =>
      ALLOCATIONS.map((allocation): RatesReport => {
        try {
          const found = allocateRates(allocation, { sensitivities: sensed.sensitivities, costs, rate, minRate: own.minRate }, own.harm);
          return { rate, allocation, rates: found.map((r) => Number(r.toFixed(6))), refused: null };
        } catch (error) {
          if (error instanceof EbbError) return { rate, allocation, rates: null, refused: error.message };
          throw error;
        }
      }),
    ),
    none: { time: timeOf(full), memory: memoryOf(null, full) },
    settings: weighted.kept.map((setting, i) => {
      const { time, memory } = measuredOf(setting);
      const gain = recommendation.worths[i]?.gain ?? { mean: Number.NaN, error: null };
      return { ...setting, name: settingName(setting), time: timeOf(time), memory, ...fidelityReport(compared.plans[i] ?? []), gain };
    }),
    recommendation,
    notes: [
      ...(memoryBudget === undefined ? [] : ['memoryBudget is not kept here: sensitivities and full gradients keep everything of a step']),
      ...(['none', 'uniform', 'dropbp'].includes(config.drop.kind) ? [] : [`drop.kind ${config.drop.kind} is not looked at: rates are spread as uniform does`]),
      ...settings.notes,
      ...weighted.notes,
    ],
  };
}

/** All of them, or null where one is missing. */
const allOf = (values: readonly (number | null)[]): readonly number[] | null => {
  const found = values.filter((v) => v !== null);
  return found.length === values.length ? found : null;
};

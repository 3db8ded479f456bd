/** @file `ebb analyze`: measures what dropping would do to a run, on the run's own model and data. */

import { type Analysis, type AnalysisSizes, measureSettings } from '../analyze/measure.ts';
import { type AnalyzeReport, fidelityReport, type MemoryReport, type RatesReport, type SettingReport, type TimeReport } from '../analyze/report.ts';
import { planOf, type Setting, settingName } from '../analyze/settings.ts';
import type { StepTime } from '../analyze/timing.ts';
import { ALLOCATIONS, allocateRates } from '../dropbp/allocation/index.ts';
import { recommend, type SettingOutcome } from '../dropbp/fidelity/recommend.ts';
import { createDropPlan } from '../dropbp/plans/index.ts';
import { EbbError } from '../errors.ts';
import type { CommandDevice } from '../node/device.ts';
import { startEngine } from '../run/engine.ts';
import { tell, type Watch } from '../run/progress.ts';
import { readCurve } from '../run/readCurve.ts';
import { lengthOf, withRunData } from '../run/runData.ts';
import { planRunMemory } from '../run/runMemory.ts';
import { bytesOfKinds } from '../runtime/bufferBytes.ts';
import type { Engine } from '../runtime/execute.ts';
import type { RunConfig } from '../train/config.ts';
import { planModel, type TrainConfig } from '../train/loop.ts';
import { USUAL_LOSS_OVER } from '../train/step.ts';
import { compileRun, openRunModel, readyText } from './train.ts';

export interface AnalyzeOptions extends AnalysisSizes {
  /** Folders of the runs whose losses are shown. */
  readonly runs: readonly string[];
}

/** Analyses a run. It writes no file. @throws EbbError for a model, data or a device that the run cannot use */
export async function analyzeRun(config: RunConfig, opened: CommandDevice, options: AnalyzeOptions, watch: Watch = {}): Promise<AnalyzeReport> {
  // A folder that cannot be read is refused before anything is measured.
  const runs = options.runs.map(readCurve);
  const run = await openRunModel(config, watch);
  return withRunData(
    config,
    run.source,
    async (data) => {
      for (const note of data.notes) tell(watch, note);
      const compiled = await compileRun(config, run, opened, data, watch);
      const { train } = await data.loaded;
      watch.signal?.throwIfAborted();
      const { accumulate: micros, optimizer, decay, seed } = config;
      const starting = performance.now();
      const engine = await startEngine(opened.device, compiled.model, compiled.weights, {
        micros,
        optimizer: optimizer.name,
        decay,
        seed,
        probes: 'norms',
        onProgress: watch.onProgress,
      });
      tell(watch, readyText(config, opened, compiled)(engine, performance.now() - starting));
      const whole = { ...config, ...lengthOf(config, { train, held: null }) };
      const found = await measureSettings({ engine, config: whole, batches: train.source }, { ...options }, watch);
      const report = { ...about(config, opened), ...reportOf(found, whole, engine, opened.device.profile.limits.maxBufferSize, options), runs };
      engine.destroy();
      return report;
    },
    watch,
  );
}

/** Describes the run for the head of the report. */
function about(config: RunConfig, { device }: CommandDevice): Pick<AnalyzeReport, 'model' | 'data' | 'device' | 'run'> {
  const { model, data, batch, length, accumulate, lossOver = USUAL_LOSS_OVER, lora, optimizer, seed } = config;
  const run = {
    batch: `${batch}`,
    length: `${length}`,
    ...(accumulate > 1 ? { accumulate: `${accumulate}` } : {}),
    lossOver,
    trains: lora === false ? 'all weights' : lora.from === undefined ? `LoRA of rank ${lora.rank}` : `LoRA ${lora.from}`,
    optimizer: optimizer.name,
    seed: `${seed}`,
  };
  return { model, data, device: device.profile.name, run };
}

const MEASURED_KINDS: readonly string[] = ['none', 'uniform', 'dropbp'];

/** Makes the numbers of the report, and the recommendation that follows from them. */
function reportOf(
  found: Analysis,
  config: RunConfig & TrainConfig,
  engine: Engine,
  maxBufferSize: number,
  { rates, batches, patterns, rounds }: AnalysisSizes,
): Omit<AnalyzeReport, 'model' | 'data' | 'device' | 'run' | 'runs'> {
  const { sensed, costs, none, settings, refused } = found;
  const memory = memoryReports(found, config, engine, maxBufferSize);
  const recommendation = recommend(outcomeOfNone(found), outcomesOf(found), sensed.units.length);
  const gains = new Map(recommendation.worths.map((w) => [w.name, w.gain]));
  return {
    units: sensed.units,
    sizes: { batches, patterns, rounds },
    sensitivities: sensed.sensitivities,
    sensitivitiesMs: sensed.ms,
    costs,
    rates: rates.flatMap((rate) => ALLOCATIONS.map((allocation) => ratesReport(found, rate, allocation))),
    none: { time: timeReport(none.time, none.time), memory: memory(null, none.time) },
    settings: settings.flatMap(({ setting, time, gradients }) => {
      const common = { ...setting, time: timeReport(time, none.time), memory: memory(setting, time) };
      return gradients.map(({ weights, batches }): SettingReport => {
        const name = settingName({ ...setting, weights });
        return { ...common, weights, name, ...fidelityReport(batches), gain: gains.get(name) ?? { mean: Number.NaN, error: null } };
      });
    }),
    recommendation,
    notes: [
      ...disturbed([none.time, ...settings.map((s) => s.time)]),
      ...(config.memoryBudget === undefined ? [] : ['memoryBudget is ignored here, because sensitivities and full gradients need everything of a step']),
      ...(MEASURED_KINDS.includes(config.drop.kind)
        ? []
        : [`drop.kind ${config.drop.kind} is not measured: the rates below are spread as drop.kind uniform spreads them`]),
      ...refused,
    ],
  };
}

/** Returns the values, or null where one of them is missing. */
function allOf(values: readonly (number | null)[]): readonly number[] | null {
  const known = values.filter((v) => v !== null);
  return known.length === values.length ? known : null;
}

const outcomeOfNone = ({ none: { time, progress } }: Analysis): SettingOutcome => ({
  name: 'nothing dropped',
  ms: time.ms,
  roundMs: time.roundMs,
  cosine: progress.map(() => 1),
  progress: allOf(progress),
});

const outcomesOf = ({ settings }: Analysis): SettingOutcome[] =>
  settings.flatMap(({ setting, time: { ms, roundMs }, gradients }) =>
    gradients.map(
      ({ weights, batches }): SettingOutcome => ({
        name: settingName({ ...setting, weights }),
        ms,
        roundMs,
        cosine: batches.map((b) => b.whole.cosine),
        progress: allOf(batches.map((b) => b.progress)),
      }),
    ),
  );

/** The factor between the median round and the fastest one from which on the report says that something disturbed the measurement. */
const QUIET = 1.15;

/** Returns a note where median rounds are much slower than the fastest ones, because then something else ran on the machine. */
function disturbed(times: readonly StepTime[]): string[] {
  const worst = Math.max(...times.map(({ ms, medianMs }) => medianMs / ms));
  if (worst <= QUIET) return [];
  return [
    `the same steps took up to ${Math.round(100 * (worst - 1))} % longer in other rounds, so something else is running on the machine; stop it, or give more --rounds`,
  ];
}

const timeReport = ({ ms, medianMs, flops }: StepTime, full: StepTime): TimeReport => ({
  ms,
  medianMs,
  flopsShare: flops / full.flops,
  predictedMs: (full.ms * flops) / full.flops,
});

/** Number of draws that memory is planned for. */
const DRAWS = 256;

/** Returns a function that plans the memory of a setting, or of dropping nothing (null). It leaves the memory budget out. */
function memoryReports({ sensing }: Analysis, config: RunConfig & TrainConfig, { program }: Engine, maxBufferSize: number) {
  const { memoryBudget: _budget, ...free } = config;
  const model = planModel({ program }, config.steps);
  const drawn = Math.max(1, Math.min(config.steps, Math.ceil(DRAWS / config.accumulate)));
  return (setting: Setting | null, { peakBytes }: StepTime): MemoryReport => {
    const { buffers, total, worst } = planRunMemory(free, program, createDropPlan(planOf(setting, sensing), model), drawn, maxBufferSize);
    const [stack, slots] = [bytesOfKinds(buffers, 'activations'), bytesOfKinds(buffers, 'residuals')];
    return { plannedBytes: total - stack + worst.stackBytes, usedBytes: total - stack - slots + peakBytes };
  };
}

function ratesReport({ sensed: { sensitivities }, sensing, costs }: Analysis, rate: number, allocation: (typeof ALLOCATIONS)[number]): RatesReport {
  try {
    const rates = allocateRates(allocation, { sensitivities, costs, rate, minRate: sensing.minRate }, sensing.harm);
    // Some rates come from f32 numbers, whose further digits say nothing.
    return { rate, allocation, rates: rates.map((r) => Number(r.toFixed(6))), refused: null };
  } catch (error) {
    if (error instanceof EbbError) return { rate, allocation, rates: null, refused: error.message };
    throw error;
  }
}

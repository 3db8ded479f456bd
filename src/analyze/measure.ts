/** @file Measures the settings of a run on its engine: sensitivities, then times, then gradients. Nothing is trained. */

import type { BatchFidelity } from '../dropbp/fidelity/fidelity.ts';
import { perUnit } from '../dropbp/plans/dropPlan.ts';
import { createDropPlan, type DropPlanModel } from '../dropbp/plans/index.ts';
import type { SamplerName } from '../dropbp/sampling/index.ts';
import { at, EbbError, invariant, option } from '../errors.ts';
import { pieces, tell, type Watch } from '../run/progress.ts';
import { type Measured, measureSensitivities, planModel, type TrainerOptions, unitsOf } from '../train/loop.ts';
import { type GradientReport, measureGradients } from './gradients.ts';
import { ownWay, planOf, type RateInputs, type Setting, type Spread, settingName, settingsOf, type WeightedSetting } from './settings.ts';
import { type StepTime, timeSteps } from './timing.ts';

/** What is to be measured, and how thoroughly. */
export interface AnalysisSizes {
  readonly rates: readonly number[];
  /** Null to spread a rate as the run's own drop plan does. */
  readonly spreads: readonly Spread[] | null;
  readonly samplings: readonly SamplerName[];
  /** Number of steps whose batches are taken. */
  readonly batches: number;
  /** Number of patterns of each setting on each batch, 2 or more. */
  readonly patterns: number;
  /** How often each pattern is timed. */
  readonly rounds: number;
}

/** A setting, measured without weights, and with them where every weight is finite. Its time holds for both. */
export interface MeasuredSetting {
  readonly setting: Setting;
  readonly time: StepTime;
  /** `batches` are in the order of the steps. */
  readonly gradients: readonly { readonly weights: boolean; readonly batches: readonly BatchFidelity[] }[];
}

export interface Analysis {
  readonly sensed: Measured;
  readonly sensing: RateInputs;
  /** The cost of each unit's backward: the run's own costs, or FLOPs. */
  readonly costs: readonly number[];
  /** With nothing dropped. `progress` is by batch, null for a single batch. */
  readonly none: { readonly time: StepTime; readonly progress: readonly (number | null)[] };
  readonly settings: readonly MeasuredSetting[];
  /** The settings that were left out, a sentence each with the reason. */
  readonly refused: readonly string[];
}

type RunSource = Pick<TrainerOptions, 'engine' | 'config' | 'batches'>;

/** Keeps the settings that a drop plan can be made of, and names the others with the reason. */
function feasible<S extends Setting>(
  settings: readonly S[],
  sensing: RateInputs,
  model: DropPlanModel,
): { readonly kept: readonly S[]; readonly refused: readonly string[] } {
  const refused: string[] = [];
  const kept = settings.filter((setting) => {
    try {
      createDropPlan(planOf(setting, sensing), model);
      return true;
    } catch (error) {
      if (!(error instanceof EbbError)) throw error;
      refused.push(`${settingName(setting)} is left out: ${error.message}`);
      return false;
    }
  });
  return { kept, refused };
}

/**
 * Measures the settings of a run. The engine is made with `probes`.
 * @throws EbbError for a model without units, and for costs that do not belong to its units
 */
export async function measureSettings(source: RunSource, sizes: AnalysisSizes, watch: Watch): Promise<Analysis> {
  const { engine, config } = source;
  const units = unitsOf(engine);
  if (units.length === 0) throw new EbbError('the model has no units, so there is nothing to drop; mark its residual branches with unit()');
  const own = ownWay(config.drop);
  const model = planModel(engine, config.steps);
  const costs = Object.keys(own.costs).length > 0 ? perUnit('drop.costs', own.costs, units) : model.costs;
  const sensed = await measureSensitivities(source, 0, own.batches, pieces(watch, 'measuring sensitivities'));
  tell(watch, `sensitivities measured in ${(sensed.ms / 1000).toFixed(1)} s`);
  const sensing: RateInputs = { ...own, sensitivities: Object.fromEntries(units.map((u, i) => [u, at(sensed.sensitivities, i)])) };
  const plain = feasible(settingsOf(sizes.rates, sizes.spreads ?? [own.spread], sizes.samplings), sensing, model);
  const bothWays = plain.kept.flatMap((setting): WeightedSetting[] => [false, true].map((weights) => ({ ...setting, weights })));
  const weighted = feasible(bothWays, sensing, model);

  const [full, ...times] = await timeSettings(source, plain.kept, sensing, sizes, watch);
  const compared = await compareSettings(source, weighted.kept, sensing, sizes, watch, full);
  const found = weighted.kept.map((setting, i) => ({ setting, batches: at(compared.plans, i) }));
  const isOf = (a: Setting, b: Setting): boolean => a.rate === b.rate && a.spread === b.spread && a.sampling === b.sampling;
  return {
    sensed,
    sensing,
    costs,
    none: { time: full, progress: compared.none },
    settings: plain.kept.map((setting, i) => ({
      setting,
      time: at(times, i),
      gradients: found.filter((f) => isOf(f.setting, setting)).map((f) => ({ weights: f.setting.weights, batches: f.batches })),
    })),
    refused: [...plain.refused, ...weighted.refused],
  };
}

/** Times steps with nothing dropped, then those of each setting. */
async function timeSettings(
  source: RunSource,
  settings: readonly Setting[],
  sensing: RateInputs,
  { patterns, rounds }: AnalysisSizes,
  watch: Watch,
): Promise<readonly [full: StepTime, ...settings: StepTime[]]> {
  const plans = [null, ...settings].map((setting) => planOf(setting, sensing));
  const [full, ...times] = await timeSteps({ ...source, plans, patterns, rounds, onRound: pieces(watch, 'timing steps') });
  invariant(full, 'steps with nothing dropped were not timed');
  return [full, ...times];
}

/** Compares the gradients of settings with the full ones. */
async function compareSettings(
  source: RunSource,
  settings: readonly WeightedSetting[],
  sensing: RateInputs,
  { batches, patterns }: AnalysisSizes,
  watch: Watch,
  full: StepTime,
): Promise<GradientReport> {
  const gradients = batches * settings.length * patterns;
  const seconds = Math.ceil((gradients * full.ms) / 1000);
  tell(
    watch,
    `${gradients} gradients to compare, which takes about ${seconds} s and the time to read them; fewer ${option('batches')}, ${option('patterns')} or ${option('samplings')} make it shorter`,
  );
  const plans = settings.map((setting) => planOf(setting, sensing));
  const compared = await measureGradients({ ...source, plans, steps: batches, patterns, onGradient: pieces(watch, 'comparing gradients') });
  return compared;
}

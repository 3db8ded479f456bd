/** @file A run's settings measured on its engine, one thing after the other: sensitivities, times, gradients. Nothing is trained. */

import type { BatchFidelity } from '../dropbp/fidelity/fidelity.ts';
import { createDropPlan } from '../dropbp/plans/index.ts';
import { perUnit } from '../dropbp/plans/dropPlan.ts';
import type { SamplerName } from '../dropbp/sampling/index.ts';
import { EbbError } from '../errors.ts';
import { type Measured, measureSensitivities, planModel, type TrainerOptions, unitsOf } from '../train/loop.ts';
import { measureGradients } from './gradients.ts';
import { ownWay, planOf, type Sensing, type Setting, type Spread, settingName, settingsOf, type Weighted } from './settings.ts';
import { type StepTime, timeSteps } from './timing.ts';

/** What is to be measured, and how thoroughly. */
export interface AnalysisSizes {
  readonly rates: readonly number[];
  /** Null: as the run's own plan spreads a rate. */
  readonly spreads: readonly Spread[] | null;
  readonly samplings: readonly SamplerName[];
  /** Steps whose batches are taken. */
  readonly batches: number;
  /** Patterns of a setting on each of them, 2 or more. */
  readonly patterns: number;
  /** How often each pattern is timed. */
  readonly rounds: number;
}

export interface AnalysisHooks {
  readonly say: (line: string) => void;
  /** Pieces of work done, under a name. */
  readonly progress: (what: string) => { at(done: number, total: number): void; end(): void };
}

/** A setting without weights and with them, where they are finite: its time is that of both. */
export interface MeasuredSetting {
  readonly setting: Setting;
  readonly time: StepTime;
  /** By batch. */
  readonly gradients: readonly { readonly weights: boolean; readonly batches: readonly BatchFidelity[] }[];
}

export interface Analysis {
  readonly sensed: Measured;
  readonly sensing: Sensing;
  /** Of each unit's backward: the run's own, or FLOPs. */
  readonly costs: readonly number[];
  readonly none: { readonly time: StepTime /** By batch, null for a single one. */; readonly progress: readonly (number | null)[] };
  readonly settings: readonly MeasuredSetting[];
  /** Settings that were left out, and why. */
  readonly refused: readonly string[];
}

/** Those that a plan can be made of; the others are named with the reason. */
function feasible<S extends Setting>(
  settings: readonly S[],
  check: (setting: S) => void,
): { readonly kept: readonly S[]; readonly refused: readonly string[] } {
  const refused: string[] = [];
  const kept = settings.filter((setting) => {
    try {
      check(setting);
      return true;
    } catch (error) {
      if (!(error instanceof EbbError)) throw error;
      refused.push(`${settingName(setting)} is left out: ${error.message}`);
      return false;
    }
  });
  return { kept, refused };
}

/** Measures a run's settings; the engine is made with `probes`. @throws EbbError for a model without units, and for costs that are not its units' */
export async function measureSettings(
  source: Pick<TrainerOptions, 'engine' | 'config' | 'batches'>,
  sizes: AnalysisSizes,
  { say, progress }: AnalysisHooks,
): Promise<Analysis> {
  const { engine, config } = source;
  const { rates, spreads, samplings, batches, patterns, rounds } = sizes;
  const units = unitsOf(engine);
  if (units.length === 0) throw new EbbError('the model has no units, so there is nothing to drop; mark its residual branches with unit()');
  const own = ownWay(config.drop);
  const model = planModel(engine, config.steps);
  const costs = Object.keys(own.costs).length > 0 ? perUnit('drop.costs', own.costs, units) : model.costs;
  const sensed = await measureSensitivities(source, 0, own.batches);
  say(`sensitivities measured in ${(sensed.ms / 1000).toFixed(1)} s`);
  const sensing: Sensing = { ...own, sensitivities: Object.fromEntries(units.map((u, i) => [u, sensed.sensitivities[i] ?? 0])) };
  const check = (setting: Setting): void => void createDropPlan(planOf(setting, sensing), model);
  const plain = feasible(settingsOf(rates, spreads ?? [own.spread], samplings), check);
  const weighted = feasible(
    plain.kept.flatMap((setting): Weighted[] => [false, true].map((weights) => ({ ...setting, weights }))),
    check,
  );

  const timing = progress('timing steps');
  const plans = [null, ...plain.kept].map((setting) => planOf(setting, sensing));
  const [full, ...times] = (await timeSteps({ ...source, plans, patterns, rounds, onRound: timing.at })) as [StepTime, ...StepTime[]];
  timing.end();

  const gradients = batches * weighted.kept.length * patterns;
  const seconds = Math.ceil((gradients * full.ms) / 1000);
  say(`${gradients} gradients to compare, about ${seconds} s and what reading them takes; fewer --batches, --patterns or --samplings make it shorter`);
  const comparing = progress('comparing gradients');
  const compared = await measureGradients({
    ...source,
    plans: weighted.kept.map((setting) => planOf(setting, sensing)),
    steps: batches,
    patterns,
    onGradient: comparing.at,
  });
  comparing.end();

  const found = weighted.kept.map((setting, i) => ({ setting, batches: compared.plans[i] ?? [] }));
  const isOf = (a: Setting, b: Setting): boolean => a.rate === b.rate && a.spread === b.spread && a.sampling === b.sampling;
  return {
    sensed,
    sensing,
    costs,
    none: { time: full, progress: compared.none },
    settings: plain.kept.map((setting, i) => ({
      setting,
      time: times[i] as StepTime,
      gradients: found.filter((f) => isOf(f.setting, setting)).map((f) => ({ weights: f.setting.weights, batches: f.batches })),
    })),
    refused: [...plain.refused, ...weighted.refused],
  };
}

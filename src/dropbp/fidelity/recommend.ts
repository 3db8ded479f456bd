/**
 * @file Which drop rate to train with, by what was measured.
 *
 * To first order a step of length η along g′ lowers the loss of other data by η·‖∇‖·cos(g′, ∇), where ∇ is the gradient on that data. So a
 * setting's gain is its cosine divided by the time of its step, relative to the same quotient of steps with nothing dropped.
 */

import { option } from '../../errors.ts';
import { type Estimate, estimate, ratioEstimate } from './estimate.ts';

/** What was measured for a setting; `cosine` and `progress` are by batch. */
export interface SettingOutcome {
  readonly name: string;
  /** The least milliseconds of a step. */
  readonly ms: number;
  /** Mean milliseconds of a step in each round of timing. All settings take turns in a round. */
  readonly roundMs: readonly number[];
  /** Mean cos(g′, g) with the full gradient of the same batch. */
  readonly cosine: readonly number[];
  /** Mean cos(g′, g₀) with the full gradients of other batches. Null where there is one batch. */
  readonly progress: readonly number[] | null;
}

/** How a setting compares with dropping nothing. */
export interface Worth {
  readonly name: string;
  /** Time of a step relative to a full step. Its error is that of the mean over rounds. */
  readonly time: Estimate;
  /** Progress of a step relative to a full step. */
  readonly progress: Estimate;
  /** Progress a second relative to full steps. */
  readonly gain: Estimate;
}

export interface Recommendation {
  /** The setting to train with. Null to drop nothing. */
  readonly name: string | null;
  readonly reason: string;
  readonly caveats: readonly string[];
  /** What progress was measured with: full gradients of other batches; or of the same batch, where those do not agree with each other. */
  readonly yardstick: 'other batches' | 'same batch';
  /** cos(g, g₀) of the full gradients of different batches. It tells how much of a gradient is the batch's own noise. */
  readonly agreement: Estimate | null;
  /** By setting, in the order given. */
  readonly worths: readonly Worth[];
}

/** A model of fewer units is called shallow. */
const SHALLOW = 8;
/** A step that takes more than this share of a full step saves next to nothing. */
const SAVES_NOTHING = 0.95;

const shown = ({ mean, error }: Estimate): string => `${mean.toFixed(2)}${error === null ? '' : ` ± ${error.toFixed(2)}`}`;

/** An error that is not known counts as 0. */
const errorOf = ({ error }: Estimate): number => error ?? 0;

/** The quotient a/b of independent estimates, with its error to first order. */
function quotient(a: Estimate, b: Estimate): Estimate {
  const mean = a.mean / b.mean;
  if (a.error === null && b.error === null) return { mean, error: null };
  return { mean, error: Math.hypot(errorOf(a) / b.mean, (mean * errorOf(b)) / b.mean) };
}

/** The part of a gain that is certain: the gain less its standard error. */
const sureGain = ({ gain }: Worth): number => gain.mean - errorOf(gain);

/** Compares a setting with dropping nothing. @param otherBatches whether progress is measured on other batches */
function worthOf(setting: SettingOutcome, none: SettingOutcome, otherBatches: boolean): Worth {
  const cosines = ({ progress, cosine }: SettingOutcome): readonly number[] => (otherBatches && progress ? progress : cosine);
  const time: Estimate = { mean: setting.ms / none.ms, error: ratioEstimate(setting.roundMs, none.roundMs).error };
  const progress = ratioEstimate(cosines(setting), cosines(none));
  return { name: setting.name, time, progress, gain: quotient(progress, time) };
}

/** Says why progress could not be measured on other batches. */
function yardstickCaveat(agreement: Estimate | null): string {
  if (agreement === null)
    return `one batch tells nothing of other data, so progress is the cosine with the full gradient of the same batch; give more ${option('batches')}`;
  return `full gradients of different batches agree too little to measure progress on other data (cosine ${shown(agreement)}), so progress is the cosine with the full gradient of the same batch; give more ${option('batches')}`;
}

/** What a person should know of the comparison, a sentence each. */
function caveatsOf(worths: readonly Worth[], best: Worth): string[] {
  const caveats: string[] = [];
  const least = Math.min(...worths.map(({ time }) => time.mean));
  if (least > SAVES_NOTHING) caveats.push(`dropping saves next to nothing here: a step takes at least ${least.toFixed(2)} of the time of a full step`);
  const drops = sureGain(best) > 1;
  const near = worths.filter((w) => w !== best && w.gain.mean + errorOf(w.gain) >= sureGain(best) && w.gain.mean > 1);
  if (drops && near.length > 0)
    caveats.push(`within a standard error of it: ${near.map(({ name, gain }) => `${name} (${shown(gain)})`).join(', ')}; which of them is best is not known`);
  if (!drops && best.gain.mean > 1) caveats.push(`the errors are larger than the differences; more ${option('batches')} and ${option('patterns')} would tell`);
  return caveats;
}

/**
 * Recommends the setting whose gain less its standard error is largest, if it is above 1, which is the gain of dropping nothing. Else it
 * recommends to drop nothing.
 * @param none the outcome of steps with nothing dropped
 * @param units number of units of the model
 */
export function recommend(none: SettingOutcome, settings: readonly SettingOutcome[], units: number): Recommendation {
  const agreement = none.progress && estimate(none.progress);
  const agrees = agreement !== null && agreement.error !== null && agreement.mean > 2 * agreement.error;
  const worths = settings.map((setting) => worthOf(setting, none, agrees));
  const caveats = [
    ...(agrees ? [] : [yardstickCaveat(agreement)]),
    ...(units < SHALLOW ? [`the model is shallow: each of its ${units} units is a large part of the gradient`] : []),
  ];
  const common = { yardstick: agrees ? 'other batches' : 'same batch', agreement, worths } as const;
  const [best] = [...worths].sort((a, b) => sureGain(b) - sureGain(a));
  if (best === undefined) return { name: null, reason: 'nothing else was measured.', caveats, ...common };
  const drops = sureGain(best) > 1;
  const told = `a step takes ${shown(best.time)} of the time of a full one and makes ${shown(best.progress)} of its progress, so ${shown(best.gain)} times the progress a second`;
  return {
    name: drops ? best.name : null,
    reason: drops ? `${best.name}: ${told}.` : `drop nothing: of the settings measured ${best.name} comes closest, where ${told}.`,
    caveats: [...caveats, ...caveatsOf(worths, best)],
    ...common,
  };
}

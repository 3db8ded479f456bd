/**
 * @file Which drop rate to train with, by what was measured.
 *
 * To first order a step of length η along g′ lowers the loss of other data by η·‖∇‖·cos(g′, ∇), ∇ the gradient there. So what a setting
 * is worth is its cosine by the time of its step, over the same of steps with nothing dropped: its gain.
 */

import { type Estimate, estimate, ratioEstimate } from './estimate.ts';

/** A setting as it was measured; `cosine` and `progress` are by batch. */
export interface Trial {
  readonly name: string;
  /** Milliseconds of a step at its best. */
  readonly ms: number;
  /** Mean milliseconds of its steps in each round of timing, in which all settings took turns. */
  readonly roundMs: readonly number[];
  /** Mean cos(g′, g) with the full gradient of the same batch. */
  readonly cosine: readonly number[];
  /** Mean cos(g′, g₀) with those of other batches; null where there is one batch. */
  readonly progress: readonly number[] | null;
}

/** How a setting compares with dropping nothing. */
export interface Worth {
  readonly name: string;
  /** Time of a step over that of a full one; its error is that of the mean over rounds. */
  readonly time: Estimate;
  /** Progress of a step over that of a full one. */
  readonly progress: Estimate;
  /** Progress a second over that of full steps. */
  readonly gain: Estimate;
}

export interface Recommendation {
  /** The setting, or null: drop nothing. */
  readonly name: string | null;
  readonly reason: string;
  readonly caveats: readonly string[];
  /** What progress was measured with: full gradients of other batches, or, where those do not agree with each other, of the same batch. */
  readonly yardstick: 'other batches' | 'same batch';
  /** cos(g, g₀) of full gradients of different batches: how much of a gradient is the batch's own noise. */
  readonly agreement: Estimate | null;
  /** By setting, in the order given. */
  readonly worths: readonly Worth[];
}

/** Models of fewer units are said to be shallow. */
const SHALLOW = 8;
/** Steps that keep more of their time are said to save nothing. */
const SAVES_NOTHING = 0.95;

const shown = ({ mean, error }: Estimate): string => `${mean.toFixed(2)}${error === null ? '' : ` ± ${error.toFixed(2)}`}`;
/** a/b of independent estimates, errors by first order; an error that is not known counts as none. */
function quotient(a: Estimate, b: Estimate): Estimate {
  const mean = a.mean / b.mean;
  if (a.error === null && b.error === null) return { mean, error: null };
  return { mean, error: Math.hypot((a.error ?? 0) / b.mean, (mean * (b.error ?? 0)) / b.mean) };
}

/** What is sure of a gain: less its standard error. */
const sure = ({ gain }: Worth): number => gain.mean - (gain.error ?? 0);

/**
 * The setting whose gain less its standard error is the largest and above 1, what dropping nothing has; else nothing.
 * @param none steps with nothing dropped
 * @param units of the model
 */
export function recommend(none: Trial, trials: readonly Trial[], units: number): Recommendation {
  const agreement = none.progress && estimate(none.progress);
  const agrees = agreement !== null && agreement.mean > 2 * (agreement.error ?? Number.POSITIVE_INFINITY);
  const values = ({ progress, cosine }: Trial): readonly number[] => (agrees && progress ? progress : cosine);
  const worths = trials.map((trial): Worth => {
    const time: Estimate = { mean: trial.ms / none.ms, error: ratioEstimate(trial.roundMs, none.roundMs).error };
    const progress = ratioEstimate(values(trial), values(none));
    return { name: trial.name, time, progress, gain: quotient(progress, time) };
  });
  const best = [...worths].sort((a, b) => sure(b) - sure(a))[0];
  const caveats: string[] = [];
  if (!agrees)
    caveats.push(
      agreement === null
        ? 'one batch tells nothing of other data: progress is the cosine with the full gradient of the same batch; give --batches'
        : `full gradients of different batches agree too little to measure progress on other data (cosine ${shown(agreement)}): it is the cosine with the full gradient of the same batch; give more --batches`,
    );
  if (units < SHALLOW) caveats.push(`the model is shallow, ${units} units: each of them is a large part of the gradient`);
  if (best === undefined)
    return { name: null, reason: 'nothing else was measured.', caveats, yardstick: agrees ? 'other batches' : 'same batch', agreement, worths };
  const least = Math.min(...worths.map(({ time }) => time.mean));
  if (least > SAVES_NOTHING) caveats.push(`dropping saves next to nothing here: a step takes at least ${least.toFixed(2)} of the time of a full one`);
  const told = `a step takes ${shown(best.time)} of the time of a full one and makes ${shown(best.progress)} of its progress, so ${shown(best.gain)} times the progress a second`;
  const drops = sure(best) > 1;
  const near = worths.filter((w) => w !== best && w.gain.mean + (w.gain.error ?? 0) >= sure(best) && w.gain.mean > 1);
  if (drops && near.length > 0)
    caveats.push(`within a standard error of it: ${near.map(({ name, gain }) => `${name} (${shown(gain)})`).join(', ')}; which of them is best is not known`);
  if (!drops && best.gain.mean > 1) caveats.push('the errors are larger than the differences: more --batches and --patterns would tell');
  return {
    name: drops ? best.name : null,
    reason: drops ? `${best.name}: ${told}.` : `drop nothing: of the settings measured ${best.name} comes closest, where ${told}.`,
    caveats,
    yardstick: agrees ? 'other batches' : 'same batch',
    agreement,
    worths,
  };
}

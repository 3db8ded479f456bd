/** @file The report of `ebb analyze`: `--json` prints it, and its text and its page are made from it. */

import { type Estimate, estimate, meanOf } from '../dropbp/fidelity/estimate.ts';
import type { BatchFidelity } from '../dropbp/fidelity/fidelity.ts';
import type { Recommendation } from '../dropbp/fidelity/recommend.ts';
import { at } from '../errors.ts';
import type { Curve } from '../run/curve.ts';

/** How a plan drops, under the keys that `drop` has in the config of a run. `spread` is `uniform`, or the allocation that makes rates from sensitivities. */
export interface SettingKeys {
  readonly rate: number;
  readonly spread: string;
  readonly sampling: string;
  readonly weights: boolean;
}

/** A step's time. */
export interface TimeReport {
  /** Measured milliseconds: the mean over patterns of each pattern's least round. */
  readonly ms: number;
  /** The mean over patterns of each pattern's median round, in milliseconds. */
  readonly medianMs: number;
  /** The full step's milliseconds, scaled by `flopsShare`. */
  readonly predictedMs: number;
  /** FLOPs of the same patterns, relative to a full step. */
  readonly flopsShare: number;
}

/** Bytes of all buffers of a run. */
export interface MemoryReport {
  /** Planned for the worst of the patterns that a run would draw. */
  readonly plannedBytes: number;
  /** By the most that the timed steps took. */
  readonly usedBytes: number;
}

/** A unit's gradient under a setting: means over batches, relative to its full gradient. */
export interface UnitReport {
  /** Share of the patterns in which it got a gradient. */
  readonly kept: number;
  /** Mean cosine over the patterns in which it got a gradient. Null where it never did. */
  readonly cosine: number | null;
  readonly biasSquared: number;
  readonly variance: number;
}

/** What was measured of a setting. Estimates are over batches; bias and variance are relative to the square of the full gradient's norm. */
export interface SettingReport extends SettingKeys {
  readonly name: string;
  readonly time: TimeReport;
  readonly memory: MemoryReport;
  /** cos(g, g′) over batches and patterns. */
  readonly cosine: Estimate;
  /** ‖E g′ − g‖²/‖g‖², from an estimate that the variance adds nothing to. It may be below 0 by chance. */
  readonly biasSquared: Estimate;
  /** E‖g′ − E g′‖²/‖g‖². */
  readonly variance: Estimate;
  /** cos(g′, g₀) with full gradients of other batches. Null where there is one batch. */
  readonly progress: Estimate | null;
  /** Progress a second relative to full steps. */
  readonly gain: Estimate;
  /** In the order of the report's `units`. Null for a unit without a gradient. */
  readonly units: readonly (UnitReport | null)[];
}

/** Rates of the units for a share of the backward's cost that is to be left out. */
export interface RatesReport {
  readonly rate: number;
  readonly allocation: string;
  /** Null where no rates reach the share. */
  readonly rates: readonly number[] | null;
  /** The reason where no rates reach it. */
  readonly refused: string | null;
}

/** What was measured, and what follows from it. */
export interface AnalyzeReport {
  readonly model: string;
  readonly data: string;
  readonly device: string;
  /** Facts of the run's config, by key. */
  readonly run: Readonly<Record<string, string>>;
  /** Names of the units in the order of the model, in which lists by unit are. */
  readonly units: readonly string[];
  /** Number of batches, of patterns of each setting on each batch, and of rounds of timing. */
  readonly sizes: { readonly batches: number; readonly patterns: number; readonly rounds: number };
  /** By unit: Σ over parameters of (‖g‖ − ‖g′‖)², where g′ is the gradient with the unit alone dropped. */
  readonly sensitivities: readonly number[];
  /** Milliseconds that measuring them took. */
  readonly sensitivitiesMs: number;
  /** By unit: the cost of its backward, in the run's own costs or in FLOPs. */
  readonly costs: readonly number[];
  readonly rates: readonly RatesReport[];
  readonly none: { readonly time: TimeReport; readonly memory: MemoryReport };
  readonly settings: readonly SettingReport[];
  readonly recommendation: Recommendation;
  readonly notes: readonly string[];
  readonly runs: readonly Curve[];
}

/** Summarises the gradients of a setting over batches. */
export function fidelityReport(batches: readonly BatchFidelity[]): Pick<SettingReport, 'cosine' | 'biasSquared' | 'variance' | 'progress' | 'units'> {
  const over = (of: (b: BatchFidelity) => number): Estimate => estimate(batches.map(of));
  const progress = batches.map((b) => b.progress).filter((p) => p !== null);
  const units = at(batches, 0).groups.map((_, i): UnitReport | null => {
    const found = batches.map((b) => at(b.groups, i)).filter((u) => u !== null);
    if (found.length === 0) return null;
    const cosines = found.map((u) => u.cosine).filter((c) => c !== null);
    return {
      kept: meanOf(found.map((u) => u.kept)),
      cosine: cosines.length === 0 ? null : meanOf(cosines),
      biasSquared: meanOf(found.map((u) => u.biasSquared)),
      variance: meanOf(found.map((u) => u.variance)),
    };
  });
  return {
    cosine: over((b) => b.whole.cosine),
    biasSquared: over((b) => b.whole.biasSquared),
    variance: over((b) => b.whole.variance),
    progress: progress.length === 0 ? null : estimate(progress),
    units,
  };
}

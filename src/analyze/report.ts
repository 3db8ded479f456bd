/** @file What `ebb analyze --json` prints, and what its text and its page are made of. */

import { type Estimate, estimate, meanOf } from '../dropbp/fidelity/estimate.ts';
import type { BatchFidelity } from '../dropbp/fidelity/fidelity.ts';
import type { Recommendation } from '../dropbp/fidelity/recommend.ts';

/** How a plan drops: as `drop` of a run's config says it; `spread` is `uniform`, or the allocation that makes rates from sensitivities. */
export interface SettingKeys {
  readonly rate: number;
  readonly spread: string;
  readonly sampling: string;
  readonly weights: boolean;
}

/** A step's time. */
export interface TimeReport {
  /** Measured: mean over patterns, of each the least of its rounds, or the median. */
  readonly ms: number;
  readonly medianMs: number;
  /** Of the full step's time, by the FLOPs of the same patterns. */
  readonly predictedMs: number;
  /** FLOPs over those of a full step. */
  readonly flopsShare: number;
}

/** Bytes of a run's buffers if they were made for its worst pattern. */
export interface MemoryReport {
  /** By the patterns that a run would draw. */
  readonly plannedBytes: number;
  /** By what the timed steps took at their most. */
  readonly usedBytes: number;
}

/** A unit's gradient under a setting; means over batches, relative to its full gradient. Null: it has none. */
export interface UnitReport {
  /** Share of the patterns in which it got a gradient. */
  readonly kept: number;
  /** Mean cosine where it got one. */
  readonly cosine: number | null;
  readonly biasSquared: number;
  readonly variance: number;
}

/** A setting as it was measured. Estimates are over batches; relative ones to the full gradient's norm, or its square. */
export interface SettingReport extends SettingKeys {
  readonly name: string;
  readonly time: TimeReport;
  readonly memory: MemoryReport;
  /** cos(g, g′) over batches and patterns. */
  readonly cosine: Estimate;
  /** ‖E g′ − g‖²/‖g‖², without what the variance adds; below 0 only by chance. */
  readonly biasSquared: Estimate;
  /** E‖g′ − E g′‖²/‖g‖². */
  readonly variance: Estimate;
  /** cos(g′, g₀) with full gradients of other batches; null where there is one batch. */
  readonly progress: Estimate | null;
  /** Progress a second over that of full steps. */
  readonly gain: Estimate;
  /** In the order of `units`. */
  readonly units: readonly (UnitReport | null)[];
}

/** Rates of the units for a share of the backward's cost that is to be left out; null where no rates reach it, and why. */
export interface RatesReport {
  readonly rate: number;
  readonly allocation: string;
  readonly rates: readonly number[] | null;
  readonly refused: string | null;
}

/** A step of a run, wall seconds since its start, its loss. */
export interface CurvePoint {
  readonly step: number;
  readonly seconds: number;
  readonly loss: number;
}

/** A run's losses; where they are many each point is the mean of neighbours. */
export interface Curve {
  readonly name: string;
  /** Its drop plan in a few words. */
  readonly drop: string;
  readonly points: readonly CurvePoint[];
}

/** What was measured and what follows of it; lists of numbers are by unit where nothing else is said. */
export interface AnalyzeReport {
  readonly model: string;
  readonly data: string;
  readonly device: string;
  /** Of the run's config, a line each. */
  readonly run: Readonly<Record<string, string>>;
  readonly units: readonly string[];
  /** Steps whose batches were taken, patterns of each setting on each, and rounds of timing. */
  readonly sizes: { readonly batches: number; readonly patterns: number; readonly rounds: number };
  /** By unit: Σ over parameters of (‖g‖ − ‖g′‖)² with the unit alone dropped; milliseconds that measuring them took. */
  readonly sensitivities: readonly number[];
  readonly sensitivitiesMs: number;
  /** FLOPs of each unit's backward. */
  readonly costs: readonly number[];
  readonly rates: readonly RatesReport[];
  readonly none: { readonly time: TimeReport; readonly memory: MemoryReport };
  readonly settings: readonly SettingReport[];
  readonly recommendation: Recommendation;
  readonly notes: readonly string[];
  readonly runs: readonly Curve[];
}

/** What gradients say of a setting, over batches. */
export function fidelityReport(batches: readonly BatchFidelity[]): Pick<SettingReport, 'cosine' | 'biasSquared' | 'variance' | 'progress' | 'units'> {
  const over = (of: (b: BatchFidelity) => number): Estimate => estimate(batches.map(of));
  const progress = batches.map((b) => b.progress).filter((p) => p !== null);
  const units = (batches[0]?.groups ?? []).map((_, i): UnitReport | null => {
    const found = batches.map((b) => b.groups[i] ?? null).filter((u) => u !== null);
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

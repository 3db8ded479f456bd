/** @file What is known of work and of a run's steps, as they tell: plain data, from which the line of status is made. */

import type { PiecesProgress, Progress, StepProgress } from '../run/progress.ts';
import type { StepMetrics } from '../train/loop.ts';
import type { Status, StepsStatus, WorkStatus } from './status.ts';

/** The share of units whose backward a step left out, over its micro-batches; null for a model without units. */
export function droppedShare(metrics: StepMetrics, units: number): number | null {
  const dropped = [...metrics.dropped, ...(metrics.skipped ?? [])].reduce((n, list) => n + list.length, 0);
  return units === 0 ? null : dropped / (units * Math.max(1, metrics.dropped.length));
}

/** The first steps compile and fill caches, and the next ones wait for those under way: times are taken from those behind them. */
const UNMEASURED = 3;
/** Most measured steps that the time to the end is told from: what steps take changes with the machine's other work. */
const WINDOW = 50;
/** The share of the past in the smoothed loss. */
const KEPT = 0.9;

/** A measured step: what it took, and what it learnt. */
type Measure = Pick<StepMetrics, 'ms' | 'tokens'>;

/** Steps of a run as they were told. */
export interface WatchedSteps {
  /** Steps that were told, of this start of the run. */
  readonly seen: number;
  /** The last of them. */
  readonly last: Pick<StepProgress, 'steps' | 'units' | 'counts'> & { readonly metrics: StepMetrics };
  /** When that was. */
  readonly toldAt: number;
  readonly measured: readonly Measure[];
  /** Losses with exponentially falling weights, and the sum of these. */
  readonly lossSum: number;
  readonly lossWeight: number;
}

/** Work that goes on. */
interface Work {
  readonly what: string;
  readonly pieces: PiecesProgress | null;
  readonly begunAt: number;
  /** When it was last told of. */
  readonly toldAt: number;
}

/** What is known: work that goes on, the earliest first, and steps that were done. Times are in milliseconds of one clock. */
export interface Watched {
  readonly works: readonly Work[];
  readonly steps: WatchedSteps | null;
}

export const NOTHING_WATCHED: Watched = { works: [], steps: null };

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function withStep(before: WatchedSteps | null, { metrics, steps, units, counts }: StepProgress, toldAt: number): WatchedSteps {
  const { seen, measured, lossSum, lossWeight } = before ?? { seen: 0, measured: [], lossSum: 0, lossWeight: 0 };
  return {
    seen: seen + 1,
    toldAt,
    last: { metrics, steps, units, ...(counts === undefined ? {} : { counts }) },
    measured: seen < UNMEASURED ? measured : [...measured, { ms: metrics.ms, tokens: metrics.tokens }].slice(-WINDOW),
    lossSum: KEPT * lossSum + metrics.loss,
    lossWeight: KEPT * lossWeight + 1,
  };
}

const hasEnded = (progress: Progress): boolean =>
  progress.kind === 'pieces' ? progress.done >= progress.total : progress.kind === 'work' && progress.state === 'ended';

/** What is known after something more was told. */
export function watched({ works, steps }: Watched, progress: Progress, now: number): Watched {
  if (progress.kind === 'step') return { works, steps: withStep(steps, progress, now) };
  if (progress.kind !== 'pieces' && progress.kind !== 'work') return { works, steps };
  const { what } = progress;
  if (hasEnded(progress)) return { works: works.filter((work) => work.what !== what), steps };
  const pieces = progress.kind === 'pieces' ? progress : null;
  if (works.some((work) => work.what === what)) return { works: works.map((work) => (work.what === what ? { ...work, pieces, toldAt: now } : work)), steps };
  return { works: [...works, { what, pieces, begunAt: now, toldAt: now }], steps };
}

/** How the steps of a run stand. */
export function stepsStatus({ last: { metrics, steps, units, counts }, toldAt, measured, lossSum, lossWeight }: WatchedSteps, now: number): StepsStatus {
  const timed: readonly Measure[] = measured.length > 0 ? measured : [metrics];
  const ms = sum(timed.map((step) => step.ms));
  return {
    kind: 'steps',
    step: metrics.step,
    steps,
    loss: metrics.loss,
    smoothed: lossSum / lossWeight,
    speed: (1000 * sum(timed.map((step) => step.tokens))) / Math.max(ms, 1e-3),
    counts: counts ?? 'tokens',
    dropped: droppedShare(metrics, units),
    leftMs: measured.length > 0 && metrics.step < steps ? Math.max(0, ((steps - metrics.step) * ms) / measured.length - (now - toldAt)) : null,
    forMs: now - toldAt,
  };
}

/** How work stands; the latest first. */
export function workStatus({ works }: Watched, now: number): readonly WorkStatus[] {
  return works
    .map(({ what, pieces, begunAt, toldAt }): WorkStatus => {
      const leftMs = pieces?.leftMs === undefined ? null : Math.max(0, pieces.leftMs - (now - toldAt));
      return { what, count: pieces, leftMs, forMs: now - begunAt };
    })
    .reverse();
}

/** What the line of status shows: work that goes on before steps that were done; null where there is neither. */
export function statusOf(known: Watched, now: number): Status | null {
  const works = workStatus(known, now);
  if (works.length > 0) return { kind: 'work', works };
  return known.steps && stepsStatus(known.steps, now);
}

/** @file What work tells while it goes on. The library prints nothing: whoever calls it is told, and shows it as they like. */

import type { Measured, StepMetrics } from '../train/loop.ts';

/** A sentence for a person. */
export interface NoteProgress {
  readonly kind: 'note';
  readonly text: string;
}

/** Work in pieces: `done` of `total`; it has ended when all are done. Downloads count bytes, evaluations batches, measurements settings. */
export interface PiecesProgress {
  readonly kind: 'pieces';
  /** What is done in pieces, such as `held-out evaluation`. */
  readonly what: string;
  readonly unit: 'bytes' | 'pieces';
  readonly done: number;
  readonly total: number;
  /** Most milliseconds that the work still takes, where it is held to a time. */
  readonly leftMs?: number;
}

/** Work whose length nobody knows begins or ends. Several may go on at once. */
export interface WorkProgress {
  readonly kind: 'work';
  /** What is done, such as `compiling the model`. */
  readonly what: string;
  readonly state: 'begun' | 'ended';
}

/** What the `tokens` of a step's metrics count: a model without sequences learns samples. */
export type Counted = 'tokens' | 'samples';

/** A step of training was done. */
export interface StepProgress {
  readonly kind: 'step';
  readonly metrics: StepMetrics;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Residual branches that a step may drop. */
  readonly units: number;
  /** Default: tokens. */
  readonly counts?: Counted;
}

/** Sensitivities were measured, as the run's drop plan asks. A note says so as well. */
export interface MeasuredProgress {
  readonly kind: 'measured';
  readonly measured: Measured;
}

/** What work tells. */
export type Progress = NoteProgress | PiecesProgress | WorkProgress | StepProgress | MeasuredProgress;

/** The part of an AbortSignal that work looks at, so that types ask for no library of a platform. */
export interface StopSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
}

/** How a caller watches work, and ends it early. */
export interface Watch {
  /** Is told what goes on, in order. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Ends the work: that of an AbortController. What that leaves behind is said where it is taken. */
  readonly signal?: StopSignal | undefined;
}

/** Tells a sentence. */
export function tell({ onProgress }: Watch, text: string): void {
  onProgress?.({ kind: 'note', text });
}

/** Tells what a file holds and nothing uses, or how its contradictions were settled. @param path of the file, which begins every sentence */
export function tellNotes(watch: Watch, path: string, notes: readonly string[]): void {
  for (const note of notes) tell(watch, `${path}: ${note}`);
}

/** Makes a function that tells how many pieces of some work are done. The function throws the signal's reason, which ends the work between two pieces. */
export const pieces =
  ({ onProgress, signal }: Watch, what: string, unit: PiecesProgress['unit'] = 'pieces') =>
  (done: number, total: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ kind: 'pieces', what, unit, done, total });
  };

/** Does work, and tells when it begins and when it has ended, however it ends. */
export async function during<T>({ onProgress }: Watch, what: string, work: () => T | Promise<T>): Promise<T> {
  onProgress?.({ kind: 'work', what, state: 'begun' });
  try {
    return await work();
  } finally {
    onProgress?.({ kind: 'work', what, state: 'ended' });
  }
}

const two = (count: number): string => String(count).padStart(2, '0');

/** A span of time in at most 7 columns, up to centuries. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(seconds / unit)) as [number, number, number];
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes}m${two(seconds % 60)}s`;
  return days === 0 ? `${hours}h${two(minutes % 60)}m` : `${days}d${two(hours % 24)}h`;
}

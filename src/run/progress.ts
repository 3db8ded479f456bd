/** @file What work tells while it goes on. The library prints nothing: whoever calls it is told, and shows it as they like. */

import type { Measured, StepMetrics } from '../train/loop.ts';

/** A sentence for a person. */
export interface NoteProgress {
  readonly kind: 'note';
  readonly text: string;
}

/** Work in pieces: `done` of `total`. Downloads count bytes, evaluations batches, measurements settings. */
export interface PiecesProgress {
  readonly kind: 'pieces';
  /** What is done in pieces, such as `held-out evaluation`. */
  readonly what: string;
  readonly unit: 'bytes' | 'pieces';
  readonly done: number;
  readonly total: number;
}

/** A step of training was done. */
export interface StepProgress {
  readonly kind: 'step';
  readonly metrics: StepMetrics;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Residual branches that a step may drop. */
  readonly units: number;
}

/** Sensitivities were measured, as the run's drop plan asks. A note says so as well. */
export interface MeasuredProgress {
  readonly kind: 'measured';
  readonly measured: Measured;
}

/** What work tells. */
export type Progress = NoteProgress | PiecesProgress | StepProgress | MeasuredProgress;

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

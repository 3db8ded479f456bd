/** @file What is said of a run by what its folder holds. Types alone, nothing of Node. */

import type { Curve } from '../run/curve.ts';

/**
 * How a run stands. `interrupted`: it ended with a checkpoint of its last step, and can go on. `failed`: it ended behind its last checkpoint, by an error or killed, and can go on
 * from there where there is one.
 * `ended early`: its held-out loss did not get lower for as long as it had patience.
 */
export type RunState = 'running' | 'done' | 'ended early' | 'interrupted' | 'failed';

/** After which steps `result/` and `best/` of a run were written; null where they are not there, or do not say it. */
export interface KeptResults {
  readonly result: number | null;
  readonly best: number | null;
}

/** A held-out loss, and the steps that were done when it was computed. */
export interface HeldOutPoint {
  readonly step: number;
  readonly loss: number;
}

/** The last step of a run. What its line does not say is null. */
export interface LatestStep {
  readonly loss: number;
  /** The mean loss of the last steps. */
  readonly smoothed: number;
  readonly lr: number | null;
  readonly gradNorm: number | null;
  /** The share of units whose backward it left out. */
  readonly dropped: number | null;
  /** Bytes of activations at their most. */
  readonly activationBytes: number | null;
}

/** What became of a run so far. */
export interface RunReport {
  readonly folder: string;
  readonly state: RunState;
  /** As the run names it; empty for a compiled trainer, whose model is its own. */
  readonly model: string;
  /** Its drop plan in a few words. */
  readonly drop: string;
  /** Steps that are done, and those of the whole run; null where its config does not say. */
  readonly steps: { readonly done: number; readonly of: number | null };
  /** Null before the first step. */
  readonly latest: LatestStep | null;
  /** `best` is null where no held-out loss is a number. */
  readonly heldOut: { readonly best: HeldOutPoint | null; readonly last: HeldOutPoint } | null;
  readonly kept: KeptResults;
  /** Wall seconds of training, without evaluations and checkpoints. */
  readonly seconds: number;
  /** Seconds that are left, by the speed of the last steps. Null where the run does not go on, or that is not known. */
  readonly secondsLeft: number | null;
  /** Null where its lines do not say. */
  readonly tokensPerSecond: number | null;
}

/** A run and its losses. */
export interface RunView extends RunReport {
  readonly curve: Curve;
}

/** What a page of runs carries. */
export interface PageData {
  readonly runs: readonly RunView[];
  /** Where a page that is served is told what is new, as events of JSON; null for a file. */
  readonly updates: string | null;
}

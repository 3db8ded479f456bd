/** @file The losses of a run as curves, so that they can be shown beside those of other runs. Types alone, nothing of Node. */

/** A loss of a run: after which step, the wall seconds of training since the run's start, the loss. */
export interface CurvePoint {
  readonly step: number;
  readonly seconds: number;
  readonly loss: number;
}

/** The losses of a run. Each point of a long run is the mean of neighbouring steps. */
export interface Curve {
  readonly name: string;
  /** Its drop plan in a few words. */
  readonly drop: string;
  readonly points: readonly CurvePoint[];
  /** Held-out losses; those that are no number are left out. */
  readonly heldOut: readonly CurvePoint[];
}

/** @file A run of a compiled model as a generated trainer opens it, by types of its own inputs, units and parameters. Nothing of Node. */

import type { GoingOn, OpenRun, TrainReport } from '../run/openRun.ts';
import type { Watch } from '../run/progress.ts';
import type { InputData } from '../runtime/inputs.ts';
import type { RunInput } from '../train/config.ts';

/** The keys of a run (docs/training.md of Ebb), and how it is watched. Sizes, precision and drop rate are those it was compiled for, unless given. */
export interface RunOptions extends Partial<Omit<RunInput, '$schema' | 'model'>>, Watch, GoingOn {
  /** The run file that the keys were read from, if there is one: nothing is written over it. */
  readonly file?: string | undefined;
  /** What messages call the options. Default: the run file, or `the options of the run`. */
  readonly named?: string | undefined;
}

/** A run of a compiled model that is open, by the model's own inputs, units and parameters. */
export type TrainerRun<Inputs = InputData, Unit extends string = string, Parameter extends string = string> = OpenRun<Inputs, Unit, Parameter>;

/** Trains as options say: the loop of a generated trainer. */
export type Train = (options: RunOptions) => Promise<TrainReport>;

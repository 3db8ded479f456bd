/** @file A run of a compiled model, step by step: the types that a generated trainer gives its own inputs, units and parameters. Nothing of Node. */

import type { Watch } from '../run/progress.ts';
import type { TrainReport } from '../run/run.ts';
import type { InputData } from '../runtime/inputs.ts';
import type { Batch } from '../train/batches.ts';
import type { RunInput } from '../train/config.ts';
import type { StepMetrics } from '../train/loop.ts';

/** The keys of a run (docs/training.md of Ebb), and how it is watched. Sizes, precision and drop rate are those it was compiled for, unless given. */
export interface RunOptions extends Partial<Omit<RunInput, '$schema' | 'model'>>, Watch {
  /** Whether the run goes on from the newest checkpoint in its folder. */
  readonly resume?: boolean;
  /** The run file that the keys were read from, if there is one: nothing is written over it. */
  readonly file?: string | undefined;
  /** What messages call the options. Default: the run file, or `the options of the run`. */
  readonly named?: string | undefined;
}

/** A micro-batch of a compiled model. */
export interface TrainerBatch<Inputs> extends Omit<Batch, 'inputs'> {
  readonly inputs: Inputs;
}

/** Where the micro-batches of a run come from: `index` counts them over all steps. */
export interface TrainerBatches<Inputs> {
  at(index: number): TrainerBatch<Inputs>;
}

/** A finished step: its line in metrics.jsonl, with the units whose backward each micro-batch left out. */
export interface TrainerStep<Unit extends string> extends StepMetrics {
  readonly dropped: readonly (readonly Unit[])[];
}

/** A run of a compiled model that is open. */
export interface TrainerRun<Inputs = InputData, Unit extends string = string, Parameter extends string = string> {
  /** Steps of the whole run. */
  readonly total: number;
  /** The micro-batches of the run's data. */
  readonly batches: TrainerBatches<Inputs>;
  /**
   * Trains, and gives each step when it is finished and written to metrics.jsonl; by then the next ones are under way on the device. Checkpoints
   * and held-out losses come in between, as the run says. @throws EbbError when a loss is not finite, or the device fails
   */
  steps(batches: TrainerBatches<Inputs>): AsyncIterable<TrainerStep<Unit>>;
  /** Tells `onProgress` of a step: on the command line this is the line of progress. */
  show(step: StepMetrics): void;
  /** Reads a trained parameter as it is now, row-major. */
  read(parameter: Parameter): Promise<Float32Array>;
  /** Writes the last checkpoint, and, unless the run was interrupted, the trained model or adapter. */
  save(): Promise<TrainReport>;
  /** Frees the device, whatever became of the run. */
  close(): void;
}

/** Trains as options say: the loop of a generated trainer. */
export type Train = (options: RunOptions) => Promise<TrainReport>;

/** @file A run that is open, step by step: what `openRun` of the library and that of a generated trainer give. Types alone, nothing of Node. */

import type { InputData } from '../runtime/inputs.ts';
import type { Batch } from '../train/batches.ts';
import type { StepMetrics } from '../train/loop.ts';

/** How a run goes on that its folder holds. */
export interface GoingOn {
  /** Whether the run goes on from the newest whole checkpoint in its folder. */
  readonly resume?: boolean | undefined;
  /** What of the things that the run depends on may be others than it began with: `model`, `data`, `tokenizer`, `chatTemplate`, `adapter`, `plan`. */
  readonly accept?: readonly string[] | undefined;
  /** Whether the learning rate of the last step is kept for further ones. Default: the schedule is that of a run of all steps. */
  readonly extend?: boolean | undefined;
}

/** What became of a run. */
export interface TrainReport {
  /** The run's folder. */
  readonly out: string;
  /** The folder of the adapter or the model that was trained, also where the run was interrupted. */
  readonly result: string;
  /** The folder of what had the lowest held-out loss, and after which step; null where none is kept. */
  readonly best: { readonly folder: string; readonly step: number; readonly heldOut: number } | null;
  readonly steps: number;
  readonly loss: number;
  readonly heldOut: { readonly before: number; readonly after: number } | null;
  readonly interrupted: boolean;
  /** Whether the run ended because its held-out loss did not get lower (`patience`). */
  readonly endedEarly: boolean;
}

/** A micro-batch of a model, with the model's own inputs. */
export interface RunBatch<Inputs = InputData> extends Omit<Batch, 'inputs'> {
  readonly inputs: Inputs;
}

/** Where the micro-batches of a run come from: `index` counts them over all steps. */
export interface RunBatches<Inputs = InputData> {
  at(index: number): RunBatch<Inputs>;
}

/** A finished step: its line in metrics.jsonl, with the units whose backward each micro-batch left out. */
export interface RunStep<Unit extends string = string> extends StepMetrics {
  readonly dropped: readonly (readonly Unit[])[];
}

/** How the steps of a run go on. */
export interface StepsOptions {
  /**
   * Whether nothing may be under way when this step is given: then what is read and evaluated is the model as the step left it. Its
   * time is not counted into that of the next step. Default: two steps run ahead of the one that is given.
   */
  readonly pauseAfter?: ((step: number) => boolean) | undefined;
}

/** A run that is open: its steps, and what it leaves. */
export interface OpenRun<Inputs = InputData, Unit extends string = string, Parameter extends string = string> {
  /** Steps of the whole run. */
  readonly total: number;
  /** Steps that were done when it was opened: 0, or those of the checkpoint that it goes on from. */
  readonly done: number;
  /** Residual branches that a step may drop. */
  readonly units: number;
  /** The micro-batches of the run's data. */
  readonly batches: RunBatches<Inputs>;
  /**
   * Trains, and gives each step when it is finished and written to metrics.jsonl; by then the next ones are under way on the device. Checkpoints
   * and held-out losses come in between, as the run says. Whoever leaves the loop early has all steps finished that were begun, and may go on
   * with another. @param batches default those of the run's data @throws EbbError when a loss is not finite, or the device fails
   */
  steps(batches?: RunBatches<Inputs>, options?: StepsOptions): AsyncGenerator<RunStep<Unit>, void>;
  /** Tells `onProgress` of a step: on the command line this is the line of progress. */
  show(step: StepMetrics): void;
  /** Reads a parameter as it is now, row-major. @throws EbbError where there is none of this name */
  read(parameter: Parameter): Promise<Float32Array>;
  /**
   * The mean loss with nothing dropped, in nats a token, after all steps that were begun. @param data a file of examples, of which the first `evalLimit` are
   * read, once; default the run's evalData @throws EbbError for data that cannot be used, and where there is none
   */
  evaluate(data?: string): Promise<number>;
  /** Writes the last checkpoint, and the trained model or adapter. */
  save(): Promise<TrainReport>;
  /** Frees what the run holds, whatever became of it; the device too, unless its opener was given one that is open. */
  close(): void;
}

/** @file What an engine is: a program on a device, whose steps are submitted and read back later. */

import type { ActivationBytes } from './bufferBytes.ts';
import type { Memory } from './device.ts';
import type { DispatchTime } from './dispatchTimes.ts';
import type { Exchange } from './exchange.ts';
import type { LastingValues } from './lasting.ts';
import type { Form } from './link/forms.ts';
import type { Linker } from './link/link.ts';
import type { Variant } from './link/linked.ts';
import type { ProbeKind } from './link/probe.ts';
import type { NonFiniteValue } from './nonFiniteValue.ts';
import type { Program } from './program.ts';
import type { Probed } from './runProbes.ts';
import type { MicroBatch } from './stepParts.ts';
import type { StoragePlan } from './storage.ts';
import type { Update } from './updatePhase.ts';

/** Losses of the micro-batches, and the norm of all gradients before clipping: 0 where nothing was updated, NaN without an update. */
export interface StepLosses {
  readonly losses: readonly number[];
  readonly gradNorm: number;
}

/** A step that was submitted: what is known of it at once, and what the device has yet to say. */
export interface StepResult {
  /** One for each micro-batch. */
  readonly variants: readonly Variant[];
  /** Groups that were updated. */
  readonly updated: readonly number[];
  readonly dispatches: number;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Waits for the device. */
  read(): Promise<StepLosses>;
  /**
   * Only there if the exchange returned a promise. It resolves when that promise has resolved and the update was submitted, and rejects if that
   * promise rejects. Until then no other step may begin, and `updated` and `dispatches` do not include the update.
   */
  readonly exchanged?: Promise<void>;
  /** Of a timed step: how long every dispatch took. Waits for the device. */
  readonly times?: () => Promise<readonly DispatchTime[]>;
}

/** What a step does besides computing. */
export interface StepOptions {
  /** Time every dispatch, each alone on the device. @throws EbbError where the device has no timestamps */
  readonly timed?: boolean;
}

/** A program on a device: its pipelines, buffers and parameters. Create one with `createEngine`. */
export interface Engine extends LastingValues {
  readonly program: Program;
  readonly storage: StoragePlan;
  readonly linker: Linker;
  /** Bytes of each kind of buffer. */
  readonly memory: Readonly<Record<string, number>>;
  /** Device buffers by id. */
  readonly buffers: Memory['buffers'];
  /**
   * Submits the micro-batches and, unless null, the update.
   * @throws EbbError for an input that is missing, of another size, or holds ids that there are not, and for more micro-batches than planned
   */
  step(micros: readonly MicroBatch[], update: Update | null, options?: StepOptions): StepResult;
  /**
   * Norms of gradients with one unit dropped at a time (./probe.ts). Touches nothing that outlives a step. The engine is made with `probes`.
   */
  probe(micro: Pick<MicroBatch, 'sizes' | 'inputs' | 'scalar'>): Promise<Probed>;
  /** Waits for the device, and returns how often it has updated each group of parameters. @throws EbbError without an optimizer */
  readUpdates(): Promise<readonly number[]>;
  /** Sets how often each group of parameters was updated, which is 0 for a new engine. @throws EbbError for another number of groups, and without an optimizer */
  writeUpdates(counts: readonly number[]): void;
  /**
   * Runs a micro-batch function by function, with its backward unless it is `forwardOnly`, and finds the first value that is NaN or infinite.
   * It is slow: everything is read back. It writes over activations and gradients, as a step does, and updates nothing.
   */
  findNonFinite(micro: MicroBatch): Promise<NonFiniteValue | null>;
  /** Runs forward and returns main's results as f32. */
  forward(micro: Omit<MicroBatch, 'pattern' | 'forwardOnly'>): Promise<Float32Array[]>;
  /** Frees the buffers; the device stays. */
  destroy(): void;
}

/** What memory is allocated for. */
export interface EngineOptions {
  /** Most micro-batches in a step. */
  readonly micros: number;
  /** Whether a parameter is under weight decay. */
  readonly decays: (param: number) => boolean;
  /** An engine of the same model whose weights and states this one uses (prefill and decoding). */
  readonly share?: Engine;
  /** Gradients and moments are allocated only for training. */
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** Forms that patterns may hold; default all but `remat`. */
  readonly forms?: readonly Form[];
  /** It is called with the gradients of every step that updates, before the update. Without it, backward and update are submitted together. */
  readonly exchange?: Exchange;
  /** What `probe` measures; memory is allocated for it. */
  readonly probes?: ProbeKind;
  /** Memory for what moves; default enough for every pattern of these forms. */
  readonly activations?: ActivationBytes;
  /** Is told how many of the pipelines are compiled; some drivers put the compiling off until a pipeline first runs. */
  readonly onPipeline?: ((done: number, total: number) => void) | undefined;
}

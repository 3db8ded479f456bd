/** @file A model on a device: its engine, with every parameter at its start. */

import { createEngine, type Engine } from '../runtime/execute.ts';
import type { ProbeKind } from '../runtime/probe.ts';
import type { TrainableModel } from '../train/model.ts';
import { startingValue, type Weights } from './startingValue.ts';

/** How an engine starts training. */
export interface StartOptions {
  /** Most micro-batches in a step. */
  readonly micros: number;
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** `matrices`: parameters of two and more dimensions are under weight decay. */
  readonly decay: 'matrices' | 'all';
  readonly seed: number;
  /** What `Engine.probe` measures, where units are probed. */
  readonly probes?: ProbeKind | undefined;
}

/** @throws EbbError where weights are missing, and where the device's memory is not enough */
export async function startEngine(device: GPUDevice, model: TrainableModel, weights: Weights, options: StartOptions): Promise<Engine> {
  const { program } = model;
  const decays = (i: number): boolean => options.decay === 'all' || (program.params[i]?.shape.length ?? 0) >= 2;
  const { micros, optimizer, probes } = options;
  const engine = await createEngine(device, program, { micros, decays, optimizer, ...(probes === undefined ? {} : { probes }) });
  program.params.forEach((p, i) => engine.writeParam(i, startingValue(p, weights, model.table, options.seed)));
  return engine;
}

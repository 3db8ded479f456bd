/** @file A model on a device: its engine, with every parameter at its start. */

import { createEngine, type Engine, type EngineOptions } from '../runtime/execute.ts';
import type { ProbeKind } from '../runtime/probe.ts';
import type { Program } from '../runtime/program.ts';
import type { TrainableModel } from '../train/model.ts';
import { checkNames, startingValue, type Weights } from './startingValue.ts';

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
  /** Forms of the patterns and memory for them; default any pattern without forwards that run again. */
  readonly memory?: Pick<EngineOptions, 'forms' | 'activations'>;
}

/** Whether a parameter is under weight decay. */
export const decaysOf =
  (program: Program, decay: StartOptions['decay']) =>
  (param: number): boolean =>
    decay === 'all' || (program.params[param]?.shape.length ?? 0) >= 2;

/** @throws EbbError where weights are missing, and where the device's memory is not enough */
export async function startEngine(device: GPUDevice, model: TrainableModel, weights: Weights, options: StartOptions): Promise<Engine> {
  const { program } = model;
  checkNames(weights, program.params);
  const { micros, optimizer, memory = {}, probes } = options;
  const decays = decaysOf(program, options.decay);
  const engine = await createEngine(device, program, { micros, decays, optimizer, ...memory, ...(probes === undefined ? {} : { probes }) });
  program.params.forEach((p, i) => engine.writeParam(i, startingValue(p, weights, model.table, options.seed)));
  return engine;
}

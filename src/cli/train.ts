/** @file `ebb train`: a model is traced and compiled for what the data asks, and trained. */

import { compileModel } from '../compile/compile.ts';
import type { CommandDevice } from '../node/device.ts';
import { type LoraOptions, loraOf, targetOf, trainableModel } from '../session.ts';
import type { RunConfig } from '../train/config.ts';
import { unitsOf } from '../train/loop.ts';
import { adapterToGoOn } from '../trainer/adapter.ts';
import { loadRunData, runTraining, type TrainHooks, type TrainReport } from '../trainer/run.ts';
import { checkTrains, openSource } from './source.ts';

const freshLora = (lora: RunConfig['lora']): LoraOptions | null => (lora === false || lora.from !== undefined ? null : lora);

/** Trains a checkpoint or a definition by a config. @throws EbbError */
export async function trainModel(config: RunConfig, device: CommandDevice, hooks: TrainHooks = {}): Promise<TrainReport> {
  const source = await openSource(config.model);
  const adapter = adapterToGoOn(config.lora);
  const lora = adapter ? loraOf(adapter, 'lora.from') : freshLora(config.lora);
  const data = loadRunData(config, source);
  const started = performance.now();
  const traced = source.trace({ batch: data.batch, length: data.length, lora });
  checkTrains(config.model, traced);
  const compiled = compileModel(traced, { target: targetOf(device), optimizers: [config.optimizer.name] });
  const compileMs = performance.now() - started;
  return runTraining(
    {
      config,
      model: trainableModel(traced, compiled, source.about(traced, lora)),
      weights: { ...source.weights, adapter: adapter?.weights ?? null },
      data,
      device: device.device,
      ready: (engine, driverMs) =>
        `${config.model}: ${unitsOf(engine).length} units, ${engine.program.pipelines.length} kernels; compiled in ${compileMs.toFixed(0)} ms, driver ${driverMs.toFixed(0)} ms; on ${device.opened.name}`,
    },
    hooks,
  );
}

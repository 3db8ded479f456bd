/** @file `ebb train`: a model is traced and compiled for what the data asks, and trained. */

import { compileModel } from '../compile/compile.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import { aboutModel, inputDecls, loraOf, targetOf, traceCheckpoint, trainableModel } from '../session.ts';
import type { RunConfig } from '../train/config.ts';
import { unitsOf } from '../train/loop.ts';
import { loadAdapter } from '../trainer/adapter.ts';
import { loadRunData, runTraining, type TrainHooks, type TrainReport } from '../trainer/run.ts';
import { checkpointWeights } from '../trainer/weights.ts';
import { modelPath } from './model.ts';

/** Trains a checkpoint by a config. @throws EbbError */
export async function trainModel(config: RunConfig, device: CommandDevice, hooks: TrainHooks = {}): Promise<TrainReport> {
  const checkpoint = openCheckpoint(await modelPath(config.model));
  const adapter = config.lora !== false && config.lora.from !== undefined ? loadAdapter(config.lora.from, config.lora.dropout) : null;
  const lora = adapter ? loraOf(adapter.settings) : config.lora === false ? null : config.lora;
  const { vocabSize, maxPosition } = checkpoint.config;
  const data = loadRunData(config, { inputs: inputDecls(trainingMode(1).inputs), vocabSize, maxPosition, tokenizer: checkpoint.tokenizer });
  const started = performance.now();
  const traced = traceCheckpoint(checkpoint, {
    mode: trainingMode(data.length),
    dims: { B: data.batch, T: data.length },
    lora,
    trains: lora ? 'adapter' : 'full',
  });
  const compiled = compileModel(traced, { target: targetOf(device), optimizers: [config.optimizer.name] });
  const compileMs = performance.now() - started;
  const about = aboutModel(config.model, checkpoint.config, traced, lora);
  return runTraining(
    {
      config,
      model: trainableModel(traced, compiled, about),
      weights: checkpointWeights(checkpoint, adapter?.weights ?? null),
      data,
      device: device.device,
      ready: (engine, driverMs) =>
        `${config.model}: ${unitsOf(engine).length} units, ${engine.program.pipelines.length} kernels; compiled in ${compileMs.toFixed(0)} ms, driver ${driverMs.toFixed(0)} ms; on ${device.opened.name}`,
    },
    hooks,
  );
}

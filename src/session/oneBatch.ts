/** @file Opens a definition with weights and one batch on a device, for `ebb forward` and `ebb grad` of a model that is not a checkpoint. */

import { compileModel } from '../compile/compile.ts';
import { EbbError, option } from '../errors.ts';
import { mainOf } from '../ir/module.ts';
import type { Type } from '../ir/types.ts';
import type { CommandDevice } from '../node/device.ts';
import { loadAdapter, tellAdapter } from '../run/adapter.ts';
import { inputReader } from '../run/data.ts';
import { startEngine } from '../run/engine.ts';
import type { Watch } from '../run/progress.ts';
import type { Engine } from '../runtime/execute.ts';
import { type Batch, singleBatch } from '../train/batches.ts';
import { loraOf, trainableModel, WITHOUT_UPDATES } from './session.ts';
import { compileDeviceOf } from './sessionDevice.ts';

import { checkTrains, openSource } from './source.ts';

/** The files that a definition is run with. */
export interface OneBatchOptions {
  readonly batch: string;
  readonly weights: string | undefined;
  readonly adapter: string | undefined;
  /** Whether gradients are wanted: those of the adapter's parameters if there is an adapter, else those of all parameters. */
  readonly trains: boolean;
}

export interface OneBatch {
  readonly engine: Engine;
  readonly batch: Pick<Batch, 'sizes' | 'inputs'>;
  /** The types of the values that build returns. */
  readonly results: readonly Type[];
  readonly adapted: boolean;
}

/** Opens a definition for one batch, compiled for its sizes. @throws EbbError for weights, an adapter or a batch that do not fit */
export async function openOneBatch(model: string, options: OneBatchOptions, device: CommandDevice, watch: Watch): Promise<OneBatch> {
  const { weights, trains } = options;
  if (weights === undefined)
    throw new EbbError(
      `${model}: a definition has no weights of its own; give ${option('weights')} a safetensors file with the parameters' names, or a checkpoint`,
    );
  const source = await openSource(model, weights, watch);
  const batch = singleBatch(options.batch, source.inputs, inputReader(options.batch, source.inputs));
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  tellAdapter(watch, adapter, model);
  const lora = adapter ? loraOf(adapter) : null;
  const { B = null, T = null } = batch.sizes;
  const traced = source.trace({ batch: B, length: T, lora, frozen: !trains });
  if (trains) checkTrains(model, traced);
  const compiled = compileModel(traced, { device: compileDeviceOf(device), optimizers: [] });
  const start = { ...source.weights, adapter: adapter?.weights ?? null };
  const engine = await startEngine(device.device, trainableModel(traced, compiled, source.about(traced, lora)), start, WITHOUT_UPDATES);
  return { engine, batch, results: mainOf(traced.module).results.map((r) => r.value.type), adapted: adapter !== null };
}

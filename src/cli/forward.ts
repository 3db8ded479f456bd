/** @file `ebb forward` and `ebb grad`: logits and gradients of given batches, for checking a port against PyTorch. */

import { EbbError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { type ReadyBatches, readBatches } from '../formats/dataset.ts';
import { writeSafetensors } from '../formats/safetensors.ts';
import { logitsMode, trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import { neutralScalar } from '../runtime/scalars.ts';
import { loraOf, openSession, WITHOUT_UPDATES } from '../session.ts';
import { makeBatch } from '../train/batches.ts';
import { microBatch, unitsOf } from '../train/loop.ts';
import { adapterFileName } from '../train/model.ts';
import { loadAdapter } from '../trainer/adapter.ts';
import { checkPositions } from '../trainer/batchFiles.ts';
import { modelPath } from './model.ts';

/** One batch that the model takes. */
function oneStep(path: string, model: string): ReadyBatches {
  const ready = readBatches(path);
  checkPositions(path, ready.length, openCheckpoint(model).config.maxPosition, 'give a shorter batch');
  if (ready.steps !== 1) throw new EbbError(`${path}: input_ids has ${ready.steps} steps of batches, expected one: [batch, length]`);
  return ready;
}

export interface ForwardOptions {
  readonly batch: string;
  readonly out: string;
  readonly adapter?: string | undefined;
}

/** Writes tensor `logits` [batch, length, vocabSize], f32. */
export async function forward(model: string, options: ForwardOptions, device: CommandDevice): Promise<{ shape: readonly number[] }> {
  const path = await modelPath(model);
  const ready = oneStep(options.batch, path);
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  const session = await openSession(path, device, {
    mode: logitsMode(ready.length),
    dims: { B: ready.batch, T: ready.length },
    lora: adapter ? loraOf(adapter) : null,
    trains: 'nothing',
    ...WITHOUT_UPDATES,
  });
  const { vocabSize } = session.checkpoint.config;
  const batch = makeBatch(ready.batch, ready.length, ready.inputIds, ready.inputIds, ready.attentionMask, vocabSize);
  const [logits] = await session.engine.forward({
    sizes: batch.sizes,
    inputs: batch.inputs,
    scalar: neutralScalar,
  });
  session.engine.destroy();
  if (!logits) throw new Error('internal: the model returned nothing');
  const shape = [ready.batch, ready.length, vocabSize];
  writeSafetensors(options.out, [{ name: 'logits', dtype: 'F32', shape, data: logits }]);
  return { shape };
}

export interface GradOptions {
  readonly batch: string;
  readonly out?: string | undefined;
  readonly adapter?: string | undefined;
  readonly drop: readonly string[];
}

export interface GradReport {
  readonly loss: number;
  /** Parameters that got no gradient. */
  readonly absent: readonly string[];
  readonly norms: Readonly<Record<string, number>>;
}

/** Loss and gradients of one batch; the gradients are written under the checkpoint's (or the adapter file's) names. */
export async function grad(model: string, options: GradOptions, device: CommandDevice): Promise<GradReport> {
  const path = await modelPath(model);
  const ready = oneStep(options.batch, path);
  if (!ready.labels) throw new EbbError(`${options.batch}: labels are missing; expected int64 labels [batch, length] beside input_ids`);
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  const session = await openSession(path, device, {
    mode: trainingMode(ready.length),
    dims: { B: ready.batch, T: ready.length },
    lora: adapter ? loraOf(adapter) : null,
    trains: adapter ? 'adapter' : 'full',
    ...WITHOUT_UPDATES,
  });
  const { engine } = session;
  const units = unitsOf(engine);
  const unknown = options.drop.find((u) => !units.includes(u));
  if (unknown !== undefined) throw new EbbError(`--drop: unknown unit ${unknown}; the model has ${units.slice(0, 4).join(', ')}, … (${units.length} units)`);
  const batch = makeBatch(ready.batch, ready.length, ready.inputIds, ready.labels, ready.attentionMask, session.checkpoint.config.vocabSize);
  const result = engine.step([microBatch(batch, options.drop, neutralScalar)], null);
  const { losses } = await result.read();
  const entries: { name: string; dtype: 'F32'; shape: readonly number[]; data: Float32Array }[] = [];
  const absent: string[] = [];
  const norms: Record<string, number> = {};
  for (const [i, p] of engine.program.params.entries()) {
    if (!p.trainable) continue;
    const name = adapter ? adapterFileName(p.name) : p.name;
    if (!result.variants[0]?.touched.has(i)) {
      absent.push(name);
      continue;
    }
    const data = await engine.readParam(i, 'gradients');
    norms[name] = Math.sqrt(data.reduce((sum, g) => sum + g * g, 0));
    if (options.out !== undefined) entries.push({ name, dtype: 'F32', shape: p.shape, data });
  }
  engine.destroy();
  if (options.out !== undefined) writeSafetensors(options.out, entries);
  return { loss: losses[0] ?? Number.NaN, absent, norms };
}

/** @file `forward` and `grad`: compute a model's results and gradients for a given batch, so that they can be compared with PyTorch's. */

import { EbbError, option } from '../errors.ts';
import { readBatches } from '../formats/batchesFile.ts';
import type { ReadyBatches } from '../formats/readyBatches.ts';
import { writeSafetensors } from '../formats/safetensors.ts';
import { checkUnits, patternOf } from '../inspect/patterns.ts';
import { dimSize } from '../ir/types.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import { type Checkpoint, openCheckpoint } from '../models/checkpoint.ts';
import { logitsMode, type ModeOptions, trainingMode } from '../models/inputs.ts';
import type { CommandDevice } from '../node/device.ts';
import { loadAdapter, tellAdapter } from '../run/adapter.ts';
import { checkPositions, rowSequences, unusedNotes } from '../run/batchFiles.ts';
import { checkOutFile, inputsOf } from '../run/outputs.ts';
import { tell, tellNotes, type Watch } from '../run/progress.ts';
import type { Engine, MicroBatch } from '../runtime/execute.ts';
import { elementText, notFinite } from '../runtime/inputs.ts';
import { neutralScalar } from '../runtime/scalars.ts';
import type { CallGiven } from '../runtime/stepCall.ts';
import { type Batch, makeBatch } from '../train/batches.ts';
import { blameText } from '../train/blame.ts';
import { unitsOf } from '../train/loop.ts';
import { adapterFileName } from '../train/model.ts';
import { type OnDevice, onDevice } from './device.ts';
import { modelPath } from './modelPath.ts';
import { openOneBatch } from './oneBatch.ts';
import { flag, names, ON_DEVICE, text, WATCH } from './optionKinds.ts';
import { loraOf, openSession, WITHOUT_UPDATES } from './session.ts';
import { checkWeights, isDefinition } from './source.ts';

/** Reads a file that holds one batch. @throws EbbError for a batch that does not fit the model */
function oneStep(path: string, { config: { maxPosition }, model }: Checkpoint, watch: Watch): OneStep {
  const ready = readBatches(path);
  for (const note of unusedNotes(path, ready)) tell(watch, note);
  checkPositions(path, ready.length, maxPosition, 'give a shorter batch');
  if (ready.steps !== 1) throw new EbbError(`${path}: input_ids has ${ready.steps} steps of batches, expected one: [batch, length]`);
  const rows = rowSequences(path, ready);
  return { ready, rows, given: { positions: rows?.restarts === true && model.learntPositions } };
}

/** A file of one batch, the sequences in its rows if they hold several, and what the model is given of them. */
interface OneStep {
  readonly ready: ReadyBatches;
  readonly rows: ReturnType<typeof rowSequences>;
  readonly given: ModeOptions;
}

/** The batch of a file. @throws EbbError for tokens that the model does not have */
function batchOf({ ready, rows }: OneStep, labels: Int32Array, vocabSize: number): Batch {
  return makeBatch(ready.batch, ready.length, ready.inputIds, labels, rows?.segments ?? ready.attentionMask, vocabSize, rows?.positions);
}

/** A batch whose results are computed. */
export interface ForwardOptions extends OnDevice, Watch {
  /** Safetensors or JSON with `input_ids` and optionally `attention_mask`; of a definition: safetensors with a tensor for each input. */
  readonly batch: string;
  /** The safetensors file to write. */
  readonly out: string;
  /** A PEFT adapter: its folder, or that of a run. */
  readonly adapter?: string | undefined;
  /** Of a definition: the file with the values of its parameters. */
  readonly weights?: string | undefined;
  /** Whether every function's output is looked at, not the results alone: what is not finite within may be lost on the way to them. It is slow. */
  readonly check?: boolean | undefined;
}

/** @throws EbbError where the result cannot be written, or would be written over what the command reads */
function checkOut(model: string, { out, batch, weights, adapter }: Pick<GradOptions, 'out' | 'batch' | 'weights' | 'adapter'>): void {
  if (out !== undefined)
    checkOutFile(out, option('out'), inputsOf({ 'the model': model, [option('batch')]: batch, [option('weights')]: weights, [option('adapter')]: adapter }));
}

const BATCH = { ...ON_DEVICE, ...WATCH, batch: text, adapter: text.optional(), weights: text.optional() };
const FORWARD: OptionShape<ForwardOptions> = { ...BATCH, out: text, check: flag };
const GRAD: OptionShape<GradOptions> = { ...BATCH, out: text.optional(), drop: names };

/** A tensor that was written. */
export interface Written {
  readonly name: string;
  readonly dtype: 'F32' | 'I32';
  readonly shape: readonly number[];
}

/**
 * Writes the results of a batch. Those of a checkpoint are `logits`, [batch, length, vocabSize]. Those of a definition are all that build
 * returns: the first is called `loss` if it is f32[], and every other one `result.<i>` by its place in the list.
 * @throws EbbError for a model, weights or a batch that cannot be used, for a file that cannot be written, and, once it is written, for results that
 * are NaN or infinite
 */
export async function forward(model: string, options: ForwardOptions): Promise<readonly Written[]> {
  checkOptions('forward()', { model }, { model: text });
  checkOptions('forward()', options, FORWARD);
  checkOut(model, options);
  return onDevice(options.device, options, (device) => (isDefinition(model) ? forwardDefinition : forwardCheckpoint)(model, options, device, options));
}

async function forwardDefinition(model: string, options: ForwardOptions, device: CommandDevice, watch: Watch): Promise<readonly Written[]> {
  const { batch: path, weights, adapter } = options;
  const { engine, batch, results } = await openOneBatch(model, { batch: path, weights, adapter, trains: false }, device, watch);
  const micro = { ...batch, scalar: neutralScalar };
  const made = await engine.forward(micro);
  const entries = results.map(({ dtype, shape }, i) => {
    const data = made[i];
    if (!data) throw new Error('internal: the model returned less than it should');
    const name = i === 0 && dtype === 'f32' && shape.length === 0 ? 'loss' : `result.${i}`;
    const sizes = shape.map((d) => dimSize(d, batch.sizes));
    // The engine returns integers and conditions as 32-bit words in an array of floats.
    return dtype === 'f32'
      ? { name, dtype: 'F32' as const, shape: sizes, data }
      : { name, dtype: 'I32' as const, shape: sizes, data: new Int32Array(data.buffer, data.byteOffset, data.length) };
  });
  writeSafetensors(options.out, entries);
  await checkFinite(engine, micro, entries, options);
  engine.destroy();
  return entries.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
}

async function forwardCheckpoint(model: string, options: ForwardOptions, device: CommandDevice, watch: Watch): Promise<readonly Written[]> {
  checkWeights(model, options.weights);
  // an error in the model is said before any error in the batch
  const checkpoint = openCheckpoint(await modelPath(model, {}, watch));
  tellNotes(watch, model, checkpoint.notes);
  const step = oneStep(options.batch, checkpoint, watch);
  const { ready, given } = step;
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  tellAdapter(watch, adapter, model);
  const session = await openSession(checkpoint, device, {
    mode: logitsMode(ready.length, given),
    dims: { B: ready.batch, T: ready.length },
    lora: adapter ? loraOf(adapter) : null,
    trains: 'nothing',
    ...WITHOUT_UPDATES,
  });
  const { vocabSize } = checkpoint.config;
  const batch = batchOf(
    step,
    ready.inputIds.map(() => -100),
    vocabSize,
  );
  const { engine } = session;
  const micro = { sizes: batch.sizes, inputs: batch.inputs, scalar: neutralScalar };
  const [logits] = await engine.forward(micro);
  if (!logits) throw new Error('internal: the model returned nothing');
  const written = { name: 'logits', dtype: 'F32', shape: [ready.batch, ready.length, vocabSize] } as const;
  const entries = [{ ...written, data: logits }];
  writeSafetensors(options.out, entries);
  await checkFinite(engine, micro, entries, options);
  engine.destroy();
  return [written];
}

/** @throws EbbError for results that are NaN or infinite, with the first function whose output is; where functions are checked, for such a function alone */
async function checkFinite(
  engine: Engine,
  micro: CallGiven & Pick<MicroBatch, 'inputs'>,
  entries: readonly (Written & { readonly data: Float32Array | Int32Array })[],
  { out, check = false, ...watch }: ForwardOptions,
): Promise<void> {
  const broken = entries.flatMap(({ name, dtype, shape, data }) => {
    const at = dtype === 'F32' ? notFinite(data) : -1;
    return at < 0 ? [] : [`${name} holds ${elementText(data, at, shape)}`];
  });
  if (broken.length === 0 && !check) return;
  const where = await blameText(engine, [{ ...micro, pattern: new Map(), forwardOnly: true }]);
  if (broken.length > 0) throw new EbbError(`${out}: ${broken.join(', ')}${where}; the file was written all the same`, 'numbers');
  if (where !== '') throw new EbbError(`${out}: all results are finite${where}; the file was written all the same`, 'numbers');
  tell(watch, 'the output of every function is finite');
}

/** A batch whose gradients are computed. */
export interface GradOptions extends OnDevice, Watch {
  /** As for `forward`, with `labels`. */
  readonly batch: string;
  /** The safetensors file to write the gradients to. Default: they are not written. */
  readonly out?: string | undefined;
  readonly adapter?: string | undefined;
  /** Of a definition: the file with the values of its parameters. */
  readonly weights?: string | undefined;
  /** Units without a backward. Default: none. */
  readonly drop?: readonly string[] | undefined;
}

/** The loss of a batch, and the norms of its gradients. */
export interface GradReport {
  readonly loss: number;
  /** Parameters that got no gradient. */
  readonly absent: readonly string[];
  readonly norms: Readonly<Record<string, number>>;
}

/** A model on a device, trained, with one batch. */
interface Trained {
  readonly engine: Engine;
  readonly batch: Pick<Batch, 'sizes' | 'inputs'>;
  /** The name of a parameter in files. */
  readonly nameOf: (param: string) => string;
}

async function trainedCheckpoint(model: string, options: GradOptions, device: CommandDevice, watch: Watch): Promise<Trained> {
  checkWeights(model, options.weights);
  // an error in the model is said before any error in the batch
  const checkpoint = openCheckpoint(await modelPath(model, {}, watch));
  tellNotes(watch, model, checkpoint.notes);
  const step = oneStep(options.batch, checkpoint, watch);
  const { ready, given } = step;
  if (!ready.labels) throw new EbbError(`${options.batch}: labels are missing; expected int64 labels [batch, length] beside input_ids`);
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  tellAdapter(watch, adapter, model);
  const { engine } = await openSession(checkpoint, device, {
    mode: trainingMode(ready.length, given),
    dims: { B: ready.batch, T: ready.length },
    lora: adapter ? loraOf(adapter) : null,
    trains: adapter ? 'adapter' : 'full',
    ...WITHOUT_UPDATES,
  });
  const batch = batchOf(step, ready.labels, checkpoint.config.vocabSize);
  return { engine, batch, nameOf: adapter ? adapterFileName : (name) => name };
}

async function trainedDefinition(model: string, { batch: path, weights, adapter }: GradOptions, device: CommandDevice, watch: Watch): Promise<Trained> {
  const { engine, batch, adapted } = await openOneBatch(model, { batch: path, weights, adapter, trains: true }, device, watch);
  return { engine, batch, nameOf: adapted ? adapterFileName : (name) => name };
}

/**
 * Computes the loss and the gradients of one batch. It writes the gradients under the names of the parameters in the checkpoint, or in the file of the adapter.
 * @throws EbbError for a loss or a gradient that is NaN or infinite, and as the model and the batch are opened
 */
export async function grad(model: string, options: GradOptions): Promise<GradReport> {
  checkOptions('grad()', { model }, { model: text });
  checkOptions('grad()', options, GRAD);
  checkOut(model, options);
  return onDevice(options.device, options, (device) => gradOn(device, model, options));
}

async function gradOn(device: CommandDevice, model: string, options: GradOptions): Promise<GradReport> {
  const { drop = [] } = options;
  const { engine, batch, nameOf } = await (isDefinition(model) ? trainedDefinition : trainedCheckpoint)(model, options, device, options);
  checkUnits(drop, unitsOf(engine), option('drop'));
  const micro = { ...batch, pattern: patternOf(drop), scalar: neutralScalar };
  const result = engine.step([micro], null);
  const { losses } = await result.read();
  const loss = losses[0] ?? Number.NaN;
  const entries: { name: string; dtype: 'F32'; shape: readonly number[]; data: Float32Array }[] = [];
  const absent: string[] = [];
  const norms = new Map<string, number>();
  for (const [i, p] of engine.program.params.entries()) {
    if (!p.trainable) continue;
    const name = nameOf(p.name);
    if (!result.variants[0]?.touched.has(i)) {
      absent.push(name);
      continue;
    }
    const data = await engine.readParam(i, 'gradients');
    norms.set(name, Math.sqrt(data.reduce((sum, g) => sum + g * g, 0)));
    if (options.out !== undefined) entries.push({ name, dtype: 'F32', shape: p.shape, data });
  }
  await refuseNonFinite(engine, micro, { model, batch: options.batch, loss, norms });
  engine.destroy();
  if (options.out !== undefined) writeSafetensors(options.out, entries);
  return { loss, absent, norms: Object.fromEntries(norms) };
}

/** @throws EbbError for a loss or a gradient that is NaN or infinite, since it cannot be compared with anything */
async function refuseNonFinite(
  engine: Engine,
  micro: MicroBatch,
  { model, batch, loss, norms }: { readonly model: string; readonly batch: string; readonly loss: number; readonly norms: ReadonlyMap<string, number> },
): Promise<void> {
  const broken = [...norms].filter(([, norm]) => !Number.isFinite(norm));
  const [first] = broken;
  if (Number.isFinite(loss) && !first) return;
  const others = broken.length > 1 ? ` (and those of ${broken.length - 1} more parameters)` : '';
  const gradient = first ? `, the norm of the gradient of ${first[0]} is ${first[1]}${others}` : '';
  const where = await blameText(engine, [micro]);
  throw new EbbError(
    `${model}: with ${batch} the loss is ${loss}${gradient}${where}; nothing was written; look for ops without a value for some numbers (log and sqrt of 0 or less, a division by 0), and at how large weights and inputs are`,
    'numbers',
  );
}

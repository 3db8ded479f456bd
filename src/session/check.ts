/** @file `ebb check`: says in one sentence what a file or folder is, and whether Ebb can use it. */

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { dataFile, ENDINGS_TEXT } from '../data/fileKinds.ts';
import type { LocatedData } from '../data/locate.ts';
import { EbbError } from '../errors.ts';
import { readBatches } from '../formats/batchesFile.ts';
import { bytesText } from '../formats/bytes.ts';
import { dtypesText } from '../formats/checkpoint.ts';
import { fileExists, fileSource, ggufIn, pathKind, readText } from '../formats/files.ts';
import { type Gguf, parseGguf, readGgufHeader } from '../formats/gguf.ts';
import { openGguf } from '../formats/ggufParts.ts';
import { isObject, type JsonObject, parseJsonObject } from '../formats/json.ts';
import { readPeft } from '../formats/peft.ts';
import { openSafetensors } from '../formats/safetensors.ts';
import { openIndex } from '../formats/safetensorsIndex.ts';
import type { MissingWeights } from '../formats/weights.ts';
import { describeModel, type ModelDescription } from '../models/checkpoint.ts';
import { openTokenizer } from '../tokenizer/open.ts';
import { tryTokenizer } from '../tokenizer/trial.ts';

export type CheckKind = 'checkpoint' | 'config' | 'header' | 'adapter' | 'safetensors' | 'gguf' | 'tokenizer' | 'data' | 'batches' | 'unknown';

/** What a file is, and whether Ebb can use it. */
export interface CheckReport {
  /** False where the file is broken, where a download broke off, and where Ebb cannot use it. */
  readonly ok: boolean;
  readonly kind: CheckKind;
  /** One sentence that begins with the path. */
  readonly message: string;
}

/** What was found. It is ok unless `ok` is there and false. */
type Finding = Omit<CheckReport, 'ok'> & { readonly ok?: false };

/** What is found of a file, at once or when its tokenizer was tried. */
type Found = Finding | Promise<Finding>;

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Whether a tokenizer lies with a model. */
const hasTokenizer = ({ kind, path }: ModelDescription): boolean =>
  kind === 'gguf'
    ? [...readGgufHeader(fileSource(path)).metadata.keys()].some((key) => key.startsWith('tokenizer.ggml.'))
    : fileExists(join(path, 'tokenizer.json'));

/** Tries and describes the tokenizer. Tokens that the model has no rows for are only mentioned, since they are an error only where data holds them. */
async function describeTokens(checkpoint: ModelDescription): Promise<readonly string[]> {
  if (!hasTokenizer(checkpoint)) return [`no ${checkpoint.kind === 'gguf' ? 'tokenizer in it' : 'tokenizer.json beside it'} (only ready batches can be used)`];
  const tokenizer = await openTokenizer(checkpoint.path);
  await tryTokenizer(tokenizer);
  const { vocabSize: tokens, notes } = tokenizer;
  const { vocabSize: rows } = checkpoint.config;
  return [`tokenizer of ${plural(tokens, 'token')}${tokens > rows ? ` (the model has no rows for those from ${rows} on)` : ''}`, ...notes];
}

function describeConfig({ kind, numLayers, hiddenSize, vocabSize }: ModelDescription['config']): string {
  return `${kind}, ${plural(numLayers, 'layer')}, hidden size ${hiddenSize}, vocabulary ${vocabSize}`;
}

function describe({ config, tensors }: ModelDescription): string {
  const size = [...tensors.values()].reduce((sum, t) => sum + t.byteLength, 0);
  return `${describeConfig(config)}, ${bytesText(size)} of ${dtypesText(tensors)}`;
}

/** What a model is called, by which part of its weights is missing. */
const WHAT: Readonly<Record<'whole' | MissingWeights['kind'], string>> = {
  whole: 'a checkpoint Ebb can use',
  configuration: 'configuration only, without weights beside it that Ebb reads',
  header: 'header only, without weights',
  cut: 'cut off, without all of its weights',
};

/** The commands that can use a model without weights, and those that cannot. */
const WITHOUT_WEIGHTS =
  'ebb compile, inspect, plan and tune can use it; train, eval, generate, forward, grad and analyze cannot, because they need the weights';

/** Checks a model, with or without weights. Weights that break off in the middle are not ok, because they were meant to be complete. */
async function checkModel(path: string): Promise<Finding> {
  const model = describeModel(path);
  const { missing, notes } = model;
  const tokens = await describeTokens(model);
  const stored = missing?.assumed ? ` (${missing.assumed.from})` : '';
  const lacks = missing ? [missing.message, WITHOUT_WEIGHTS] : [];
  const message = `${path}: ${WHAT[missing?.kind ?? 'whole']}: ${[`${describe(model)}${stored}`, ...tokens, ...notes, ...lacks].join('; ')}`;
  if (!missing) return { kind: 'checkpoint', message };
  if (missing.kind === 'configuration') return { kind: 'config', message };
  return missing.kind === 'cut' ? { kind: 'header', message, ok: false } : { kind: 'header', message };
}

function checkSafetensors(path: string): Found {
  const folder = dirname(path);
  if (basename(path) === 'model.safetensors' && fileExists(join(folder, 'config.json'))) return checkModel(path);
  const { tensors } = openSafetensors(path);
  if (basename(path) === 'adapter_model.safetensors' && fileExists(join(folder, 'adapter_config.json'))) return checkAdapter(folder, path);
  if (tensors.has('input_ids')) {
    const { steps, batch, length, labels } = readBatches(path);
    return {
      kind: 'batches',
      message: `${path}: ready batches Ebb can use: ${plural(steps, 'step')} of [${batch}, ${length}] tokens, ${labels ? 'with' : 'without'} labels`,
    };
  }
  return {
    kind: 'safetensors',
    message: `${path}: a valid safetensors file of ${plural(tensors.size, 'tensor')}, but not a model on its own, since no config.json describes it`,
  };
}

/** Whether a GGUF file is a model: it has settings of its architecture, or tensors of a model. general.architecture alone makes no model. */
function isModel({ metadata, tensors }: Gguf): boolean {
  const architecture = metadata.get('general.architecture');
  const settings = typeof architecture === 'string' && [...metadata.keys()].some((key) => key.startsWith(`${architecture}.`));
  return settings || [...tensors.keys()].some((name) => /^(token_embd|output_norm|output|blk\.\d+)\./.test(name));
}

function checkGguf(path: string): Found {
  if (isModel(openGguf(path))) return checkModel(path);
  const gguf = parseGguf(fileSource(path));
  return {
    kind: 'gguf',
    message: `${path}: a valid GGUF file of ${plural(gguf.tensors.size, 'tensor')}, but not a model, since it has neither settings of an architecture nor layers`,
  };
}

function checkAdapter(folder: string, path: string): Finding {
  const { rank, layers, baseModel, notes } = readPeft(folder);
  const base = baseModel === null || baseModel === '' ? '' : `, made for ${baseModel}`;
  const told = [`rank ${rank}, ${plural(layers.size, 'layer')}${base}`, ...notes];
  return { kind: 'adapter', message: `${path}: a LoRA adapter Ebb can use: ${told.join('; ')}` };
}

async function checkTokenizer(path: string): Promise<Finding> {
  const tokenizer = await openTokenizer(path);
  await tryTokenizer(tokenizer);
  const told = [plural(tokenizer.vocabSize, 'token'), ...tokenizer.notes];
  return { kind: 'tokenizer', message: `${path}: a tokenizer Ebb can use: ${told.join('; ')}` };
}

/** Data that is tokenised: records, or texts. What reads them is loaded where there are some: most files that are checked are none. */
async function checkData(path: string): Promise<Finding> {
  const [{ locateData }, { wholeText }] = await Promise.all([import('../data/locate.ts'), import('../data/bytes.ts')]);
  const data = locateData(path);
  const what = data.kind === 'text' ? `${data.files.reduce((sum, file) => sum + wholeText(file).length, 0)} characters of text` : await recordsText(data);
  const files = data.files.length > 1 ? ` in ${data.files.length} files` : '';
  return { kind: 'data', message: `${path}: training data Ebb can use: ${[`${what}${files}`, ...data.notes].join('; ')}` };
}

async function recordsText(data: LocatedData): Promise<string> {
  let count = 0;
  const { nothingRead, readRecords } = await import('../data/records.ts');
  const read = nothingRead();
  for await (const _ of readRecords(data, {}, read)) count++;
  const unused = read.unused.size > 0 ? `; the fields ${[...read.unused].join(', ')} are not used` : '';
  const { title = '' } = read.kind ?? {};
  return `${title === 'conversations' ? plural(count, 'conversation') : `${plural(count, 'record')} (${title})`}${unused}`;
}

function checkIndex(path: string): Found {
  // An error in the index itself is said first. An index alone is not a model.
  openIndex(path);
  return checkModel(path);
}

/** Checks a .json file of an unusual name: its fields say what it is. */
function checkJson(path: string): Found {
  if (
    readText(path, 2 ** 30)
      .trimStart()
      .startsWith('[')
  )
    return checkData(path);
  const fields: JsonObject = parseJsonObject(path, readText(path));
  if (isObject(fields['weight_map'])) return checkIndex(path);
  if (isObject(fields['model'])) return checkTokenizer(path);
  if (fields['input_ids'] !== undefined) {
    const { steps, batch, length } = readBatches(path);
    return { kind: 'batches', message: `${path}: ready batches Ebb can use: ${plural(steps, 'step')} of [${batch}, ${length}] tokens` };
  }
  return { kind: 'unknown', message: `${path}: valid JSON, but nothing Ebb uses (expected a config.json, an index, a tokenizer.json or batches)` };
}

/** Whether a folder holds shards of data. */
async function filesAsData(path: string): Promise<boolean> {
  const { locateData } = await import('../data/locate.ts');
  try {
    const { kind } = locateData(path);
    return kind === 'records' || kind === 'text';
  } catch (error) {
    if (error instanceof EbbError) return false;
    throw error;
  }
}

async function checkFolder(path: string): Promise<Finding> {
  const has = (name: string): boolean => fileExists(join(path, name));
  if (has('config.json')) return checkModel(path);
  if (has('adapter_config.json')) return checkAdapter(path, path);
  if (has('tokenizer.json')) return checkTokenizer(join(path, 'tokenizer.json'));
  if (has('model.safetensors.index.json')) return checkIndex(join(path, 'model.safetensors.index.json'));
  if (has('model.safetensors')) return checkSafetensors(join(path, 'model.safetensors'));
  if (await filesAsData(path)) return checkData(path);
  const gguf = ggufIn(path);
  const hint = gguf === undefined ? '' : `; it holds ${basename(gguf)}: give that file`;
  throw new EbbError(`${path}: holds no config.json, adapter_config.json or tokenizer.json, expected a checkpoint, an adapter or a tokenizer${hint}`);
}

/** Checks a file. Its name says what it is, or else its ending. */
function checkFile(path: string): Found {
  const name = basename(path).toLowerCase();
  if (name === 'config.json') return checkModel(path);
  if (name === 'tokenizer.json') return checkTokenizer(path);
  if (name === 'adapter_config.json') return checkAdapter(dirname(path), path);
  if (name.endsWith('.safetensors.index.json')) return checkIndex(path);
  if (name.endsWith('.safetensors')) return checkSafetensors(path);
  if (name.endsWith('.gguf')) return checkGguf(path);
  if (name.endsWith('.json')) return checkJson(path);
  if (/\.[mc]?ts$/.test(name))
    throw new EbbError(
      `${path}: is TypeScript, which check does not run; if it is a model definition, ebb inspect ${path} reads it and says what is wrong at its line`,
    );
  const data = dataFile(path);
  if (data !== null && data.kind !== 'tokens') return checkData(path);
  throw new EbbError(`${path}: is of a kind Ebb does not know, expected .safetensors, .gguf, a checkpoint folder, or data: ${ENDINGS_TEXT}`);
}

/**
 * Says what `path` is and whether Ebb can use it: a checkpoint or adapter folder, config.json, index, safetensors, GGUF, tokenizer.json,
 * JSONL or text. A valid container that is not a model is ok, and the message says that it is none. It does not throw for bad input.
 */
export async function check(path: string): Promise<CheckReport> {
  try {
    // what is not there may be a pattern of several files
    if (!existsSync(path) && /[*?[\]{}]/.test(path)) return { ok: true, ...(await checkData(path)) };
    return { ok: true, ...(await (pathKind(path) === 'folder' ? checkFolder(path) : checkFile(path))) };
  } catch (error) {
    if (!(error instanceof EbbError)) throw error;
    return { ok: false, kind: 'unknown', message: error.message };
  }
}

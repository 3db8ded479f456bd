/** @file A Hugging Face folder: its configuration, and its weights as far as they are there. */

import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { canonicalName, expectedTensors, isComputed } from '../models/llama/tensors.ts';
import { type Cut, cutOf, cutText } from './cut.ts';
import { fileExists, readText } from './files.ts';
import { BLOCKS, type BlockType } from './ggmlBlocks.ts';
import { type ConfigReading, type ModelConfig, readHfConfig } from './hfConfig.ts';
import { type JsonObject, parseJsonObject } from './json.ts';
import { readTensor, type SafetensorsFile } from './safetensors.ts';
import { openIndex, openSingle, type Shards, shardsText } from './safetensorsIndex.ts';
import { type AssumedType, unusedDtype } from './storedType.ts';
import { kindOfCut, type MissingWeights, matchTensors, type Undescribed, unreadable, type WeightSource } from './weights.ts';

const SAFETENSORS_TYPES: Readonly<Record<string, BlockType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };
const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth', 'tf_model.h5', 'flax_model.msgpack'];

/** The fields of a Hugging Face folder's config.json. @throws EbbError */
function configFields(folder: string): JsonObject {
  const path = join(folder, 'config.json');
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no config.json, expected a Hugging Face checkpoint folder`);
  return parseJsonObject(path, readText(path, 2 ** 24));
}

function sourceOf(file: SafetensorsFile, stored: string, name: string): WeightSource | null {
  const info = file.tensors.get(stored);
  if (!info) return null;
  const dtype = SAFETENSORS_TYPES[info.dtype];
  if (!dtype) throw new EbbError(`${file.path}: tensor ${show(stored)} has dtype ${info.dtype}, expected F32, F16 or BF16`);
  const read = (offset?: number, length?: number): Uint8Array => readTensor(file, stored, offset, length);
  return { name, shape: info.shape, dtype, byteLength: info.byteLength, unit: BLOCKS[dtype].bytesPerBlock, read };
}

/** Tensors by the names of the CausalLM class; of those whose file is not there, what `absent` makes of them. */
function sources(config: ModelConfig, { files, absent }: Shards, path: string, undescribed: Undescribed): Map<string, WeightSource | Undescribed> {
  const result = new Map<string, WeightSource | Undescribed>();
  const add = (stored: string, make: (name: string) => WeightSource | Undescribed | null, where: string): void => {
    const name = canonicalName(config, stored);
    if (isComputed(config, name)) return;
    const made = make(name);
    if (!made) return;
    if (result.has(name)) throw new EbbError(`${where}: tensor ${show(name)} is there twice, with and without its prefix`);
    result.set(name, made);
  };
  for (const [stored, file] of files) add(stored, (name) => sourceOf(file, stored, name), file.path);
  for (const stored of absent.keys()) add(stored, () => undescribed, path);
  return result;
}

/** A Hugging Face folder, opened. */
export interface HfFolder extends Pick<ConfigReading, 'config' | 'notes'> {
  readonly tensors: ReadonlyMap<string, WeightSource>;
  readonly missing: MissingWeights | null;
}

/**
 * How tensors that no header describes are stored.
 * @param where the config.json
 * @param fields what it holds
 * @param lacks one sentence on what is not there
 * @throws EbbError where they cannot be done without
 */
export type Assume = (where: string, fields: JsonObject, lacks: string) => AssumedType;

/**
 * Opens a folder whose weights may be missing: all of them, some shards, or the data behind their headers.
 * @throws EbbError for a broken configuration or header, for tensors that are not those of the configuration, and what `assume` throws
 */
export function openHfFolder(folder: string, assume: Assume): HfFolder {
  const fields = configFields(folder);
  const configPath = join(folder, 'config.json');
  const reading = readHfConfig(configPath, fields);
  const { config } = reading;
  const notes = [...reading.notes, ...unusedDtype(fields)];
  const path = [INDEX, SINGLE].map((name) => join(folder, name)).find(fileExists);
  if (path === undefined) {
    const other = OTHER_WEIGHTS.find((name) => fileExists(join(folder, name)));
    const message = `${folder}: holds no weights Ebb reads${other ? ` (found ${other})` : ''}, expected ${SINGLE} or ${INDEX}`;
    const assumed = assume(configPath, fields, message);
    const tensors = [...expectedTensors(config)].map(({ name, shape }) => [name, unreadable(name, shape, assumed.dtype, message)] as const);
    return { config, notes, tensors: new Map(tensors), missing: { kind: 'configuration', message, assumed } };
  }
  const shards = path.endsWith('.json') ? openIndex(path) : openSingle(path);
  const absentText = `${path}: names ${shardsText(shards.absent.values())}, expected in the same folder but not there`;
  const assumed = shards.absent.size > 0 ? assume(configPath, fields, absentText) : null;
  const undescribed: Undescribed = (name, shape) => unreadable(name, shape, assumed?.dtype ?? 'f32', absentText);
  const found = sources(config, shards, path, undescribed);
  const tensors = matchTensors(config, found, { weights: path, config: configPath });
  return { config, notes, tensors, missing: missingOf(shards, tensors, absentText, assumed) };
}

function missingOf(shards: Shards, tensors: ReadonlyMap<string, WeightSource>, absentText: string, assumed: AssumedType | null): MissingWeights | null {
  const files = [...new Set(shards.files.values())];
  const cuts = files.map((file) => cutOf(file.path, file.tensors.values(), file.size)).filter((cut): cut is Cut => cut !== null);
  const [first] = cuts;
  if (assumed && files.length === 0) return { kind: 'configuration', message: absentText, assumed };
  if (!assumed && !first) return null;
  const all = [...tensors.values()].reduce((sum, t) => sum + t.byteLength, 0);
  const inFiles = files.reduce((sum, file) => sum + [...file.tensors.values()].reduce((n, t) => n + t.byteLength, 0), 0);
  const there = cuts.reduce((sum, cut) => sum - cut.data + cut.dataThere, inFiles);
  return { kind: kindOfCut(there, all), message: assumed || !first ? absentText : cutText(first), assumed };
}

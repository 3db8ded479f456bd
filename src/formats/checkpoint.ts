/** @file A checkpoint, whatever its format: configuration, weights under Hugging Face's names and row order, tokenizer. */

import { basename, dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { canonicalName, expectedTensors, isComputed } from './checkpointTensors.ts';
import { fileExists, fileSource, pathKind, readText } from './files.ts';
import { type BlockType, dequantise } from './ggmlBlocks.ts';
import { type Gguf, parseGguf } from './gguf.ts';
import { hfName, permutedHeads, readGgufConfig, unpermuteRows } from './ggufModel.ts';
import { type ConfigReading, type LlamaConfig, type ModelConfig, parseHfConfig } from './hfConfig.ts';
import { readTensor } from './safetensors.ts';
import { openIndex, openSingle, type TensorFiles } from './safetensorsIndex.ts';
import { openTokenizer, type Tokenizer } from './tokenizer.ts';

/** A weight that is read when asked for. */
export interface WeightSource {
  /** Hugging Face's name. */
  readonly name: string;
  /** Row-major, as in Hugging Face's checkpoints: [out, in] for linear layers, [in, out] for GPT-2's Conv1D. */
  readonly shape: readonly number[];
  readonly dtype: BlockType;
  readonly byteLength: number;
  /** Rows in Hugging Face's order, values in the checkpoint's type. */
  readonly read: () => Uint8Array;
}

/** A checkpoint that was opened: a Hugging Face folder or a GGUF file, whose weights are read when they are asked for. */
export interface Checkpoint {
  readonly path: string;
  readonly kind: 'hf' | 'gguf';
  readonly config: ModelConfig;
  /** In the model's order; exactly the tensors `config` needs. */
  readonly tensors: ReadonlyMap<string, WeightSource>;
  /** What was found and is not used, for a person to know. */
  readonly notes: readonly string[];
  /** Reads the tokenizer beside (or in) the checkpoint; throws where there is none that Ebb supports. */
  readonly tokenizer: () => Tokenizer;
}

/** The values of a weight in f32. */
export function widen(source: WeightSource): Float32Array {
  return dequantise(source.dtype, source.read());
}

/** Where errors point: the file of a tensor, the file all tensors are listed in, and the one the configuration is in. */
interface Places {
  readonly weights: string;
  readonly config: string;
}

/** The tensors `config` needs out of those found; refuses missing ones, other shapes, and ones the model has no place for. */
function matchTensors(config: ModelConfig, found: ReadonlyMap<string, WeightSource>, places: Places): Map<string, WeightSource> {
  const result = new Map<string, WeightSource>();
  const layers = config.kind === 'llama' ? 'num_hidden_layers' : 'n_layer';
  for (const { name, shape, from } of expectedTensors(config)) {
    const source = found.get(name);
    if (!source) {
      const why = /\.\d+\./.test(name) ? `${layers} is ${config.numLayers}` : `tie_word_embeddings is ${config.tieWordEmbeddings}`;
      throw new EbbError(`${places.weights}: tensor ${show(name)} is missing, but expected by ${places.config}, where ${why}`);
    }
    if (source.shape.length !== shape.length || source.shape.some((size, i) => size !== shape[i])) {
      throw new EbbError(
        `${places.weights}: tensor ${show(name)} has shape [${source.shape.join(', ')}], expected [${shape.join(', ')}] (${from} in ${places.config})`,
      );
    }
    result.set(name, source);
  }
  const extra = [...found.keys()].find((name) => !result.has(name) && !isComputed(config, name));
  if (extra !== undefined) {
    throw new EbbError(
      `${places.weights}: tensor ${show(extra)} has no place in the model that ${places.config} describes (${config.kind}, ${layers} ${config.numLayers})`,
    );
  }
  return result;
}

const SAFETENSORS_TYPES: Readonly<Record<string, BlockType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

function hfSources(config: ModelConfig, files: TensorFiles): Map<string, WeightSource> {
  const result = new Map<string, WeightSource>();
  for (const [stored, file] of files) {
    const name = canonicalName(config, stored);
    const info = file.tensors.get(stored);
    if (!info || isComputed(config, name)) continue;
    const dtype = SAFETENSORS_TYPES[info.dtype];
    if (!dtype) throw new EbbError(`${file.path}: tensor ${show(stored)} has dtype ${info.dtype}, expected F32, F16 or BF16`);
    if (result.has(name)) throw new EbbError(`${file.path}: tensor ${show(name)} is there twice, with and without its prefix`);
    result.set(name, { name, shape: info.shape, dtype, byteLength: info.byteLength, read: () => readTensor(file, stored) });
  }
  return result;
}

const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth', 'tf_model.h5', 'flax_model.msgpack'];

/** Whether a folder holds weights Ebb reads, under their usual names. */
export function holdsWeights(folder: string): boolean {
  return ['model.safetensors.index.json', 'model.safetensors'].some((name) => fileExists(join(folder, name)));
}

/** The weights of a Hugging Face folder: its index, or its only file. */
function hfWeights(folder: string): { path: string; files: TensorFiles } {
  const index = join(folder, 'model.safetensors.index.json');
  if (fileExists(index)) return { path: index, files: openIndex(index) };
  const single = join(folder, 'model.safetensors');
  if (fileExists(single)) return { path: single, files: openSingle(single) };
  const other = OTHER_WEIGHTS.find((name) => fileExists(join(folder, name)));
  throw new EbbError(`${folder}: holds no weights Ebb reads${other ? ` (found ${other})` : ''}, expected model.safetensors or model.safetensors.index.json`);
}

/** The configuration of a Hugging Face folder, whether or not there are weights beside it. @throws EbbError */
export function readHfFolderConfig(folder: string): ConfigReading {
  const path = join(folder, 'config.json');
  if (!fileExists(path)) throw new EbbError(`${folder}: holds no config.json, expected a Hugging Face checkpoint folder`);
  return parseHfConfig(path, readText(path, 2 ** 24));
}

function openHf(folder: string): Checkpoint {
  const { config, notes } = readHfFolderConfig(folder);
  const { path, files } = hfWeights(folder);
  const tensors = matchTensors(config, hfSources(config, files), { weights: path, config: join(folder, 'config.json') });
  return { path: folder, kind: 'hf', config, tensors, notes, tokenizer: () => openTokenizer(folder) };
}

const GGUF_TYPES: Readonly<Record<string, BlockType>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  Q8_0: 'q8_0',
  Q4_0: 'q4_0',
  Q4_1: 'q4_1',
  Q4_K: 'q4_k',
  Q6_K: 'q6_k',
};

function ggufSources(gguf: Gguf, config: LlamaConfig, read: (offset: number, length: number) => Uint8Array): Map<string, WeightSource> {
  const result = new Map<string, WeightSource>();
  for (const { name: stored, type, dims, byteOffset, byteLength } of gguf.tensors.values()) {
    const name = hfName(gguf.file, stored);
    if (name === undefined) continue;
    const dtype = GGUF_TYPES[type];
    if (!dtype) throw new EbbError(`${gguf.file}: tensor ${show(stored)} has type ${type}, expected one of ${Object.keys(GGUF_TYPES).join(', ')}`);
    const shape = [...dims].reverse();
    const [rows] = shape;
    const heads = permutedHeads(config, name);
    const bytes = (): Uint8Array => read(byteOffset, byteLength);
    // A tensor without axes has no rows to put in order, and no place in a model.
    result.set(name, { name, shape, dtype, byteLength, read: heads > 0 && rows !== undefined ? () => unpermuteRows(bytes(), rows, heads) : bytes });
  }
  return result;
}

/** Opens the model in a GGUF file. */
function openGgufModel(path: string): Checkpoint {
  const source = fileSource(path);
  const gguf = parseGguf(source);
  const { config, notes } = readGgufConfig(gguf, source);
  if (config.kind !== 'llama') throw new EbbError(`${path}: holds a ${config.kind}, expected a llama`);
  const tensors = matchTensors(config, ggufSources(gguf, config, source.read), { weights: path, config: `${basename(path)}'s metadata` });
  return { path, kind: 'gguf', config, tensors, notes, tokenizer: () => openTokenizer(path) };
}

/**
 * Opens a checkpoint: a Hugging Face folder (or a file in it: config.json, its index, model.safetensors), or a .gguf file.
 * Reads headers only. Throws an EbbError that names file, field or tensor, what was found and what was expected.
 */
export function openCheckpoint(path: string): Checkpoint {
  if (pathKind(path) === 'folder') return openHf(path);
  if (path.toLowerCase().endsWith('.gguf')) return openGgufModel(path);
  const name = basename(path);
  if (name === 'config.json' || name === 'model.safetensors.index.json' || name === 'model.safetensors') return openHf(dirname(path));
  throw new EbbError(`${path}: is no model, expected a Hugging Face checkpoint folder or a .gguf file`);
}

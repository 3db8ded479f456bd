/** @file A checkpoint, whatever its format: configuration, weights under Hugging Face's names and row order, tokenizer. */

import { basename, dirname } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { cutOf, cutText } from './cut.ts';
import { fileSource, pathKind } from './files.ts';
import { BLOCKS, type BlockType } from './ggmlBlocks.ts';
import { type Gguf, readGgufHeader } from './gguf.ts';
import { hfName, permutedHeads, readGgufConfig, unpermuteRows } from '../models/llama/gguf.ts';
import type { LlamaConfig, ModelConfig } from './hfConfig.ts';
import { type Assume, openHfFolder } from './hfFolder.ts';
import { assumedType, type StoredType } from './storedType.ts';
import { openTokenizer, type Tokenizer } from './tokenizer.ts';
import { kindOfCut, type MissingWeights, matchTensors, type WeightHeader, type WeightSource } from './weights.ts';

/** A model as its configuration and headers describe it; its weights may be missing. */
export interface ModelDescription {
  readonly path: string;
  readonly kind: 'hf' | 'gguf';
  readonly config: ModelConfig;
  /** In the model's order; exactly the tensors `config` needs. */
  readonly tensors: ReadonlyMap<string, WeightHeader>;
  /** What was found and is not used, for a person to know. */
  readonly notes: readonly string[];
  /** Reads the tokenizer beside (or in) the checkpoint; throws where there is none that Ebb supports. */
  readonly tokenizer: () => Tokenizer;
  /** What of the weights is not there; null where they can be read. */
  readonly missing: MissingWeights | null;
}

/** A checkpoint that was opened: a Hugging Face folder or a GGUF file, whose weights are read when they are asked for. */
export interface Checkpoint extends ModelDescription {
  readonly tensors: ReadonlyMap<string, WeightSource>;
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
    const bytes = (offset = 0, length = byteLength - offset): Uint8Array => read(byteOffset + offset, length);
    // a tensor without axes has no rows to put in order, and no place in a model
    const isPermuted = heads > 0 && rows !== undefined;
    // rows change places within a head, so whole heads are read
    const unit = isPermuted ? byteLength / heads : BLOCKS[dtype].bytesPerBlock;
    const unpermuted = (offset?: number, length?: number): Uint8Array => {
      const part = bytes(offset, length);
      const partHeads = part.length / unit;
      return unpermuteRows(part, (Number(rows) / heads) * partHeads, partHeads);
    };
    result.set(name, { name, shape, dtype, byteLength, unit, read: isPermuted ? unpermuted : bytes });
  }
  return result;
}

/** Opens the model in a GGUF file. */
function openGgufModel(path: string): Checkpoint {
  const source = fileSource(path);
  const gguf = readGgufHeader(source);
  const { config, notes } = readGgufConfig(gguf, source);
  if (config.kind !== 'llama') throw new EbbError(`${path}: holds a ${config.kind}, expected a llama`);
  const tensors = matchTensors(config, ggufSources(gguf, config, source.read), { weights: path, config: `${basename(path)}'s metadata` });
  const cut = cutOf(path, gguf.tensors.values(), source.size);
  const missing: MissingWeights | null = cut && { kind: kindOfCut(cut.dataThere, cut.data), message: cutText(cut), assumed: null };
  return { path, kind: 'gguf', config, tensors, notes, missing, tokenizer: () => openTokenizer(path) };
}

/** The model at `path`, whether or not its weights are there. */
function openModel(path: string, assume: Assume): Checkpoint {
  if (pathKind(path) === 'file' && path.toLowerCase().endsWith('.gguf')) return openGgufModel(path);
  const name = basename(path);
  const inFolder = name === 'config.json' || name === 'model.safetensors.index.json' || name === 'model.safetensors';
  if (pathKind(path) === 'file' && !inFolder) throw new EbbError(`${path}: is no model, expected a Hugging Face checkpoint folder or a .gguf file`);
  const folder = pathKind(path) === 'folder' ? path : dirname(path);
  return { path: folder, kind: 'hf', ...openHfFolder(folder, assume), tokenizer: () => openTokenizer(folder) };
}

/** How tensors are stored, in words. */
export function dtypesText(tensors: ReadonlyMap<string, WeightHeader>): string {
  return [...new Set([...tensors.values()].map((t) => t.dtype))].sort().join(', ');
}

/**
 * What a model is, by its configuration and headers: of a folder whose weights may be missing, or of a GGUF or safetensors file of which
 * the first megabytes are enough.
 * @param dtype how tensors are stored that no header describes, where not as the configuration says
 * @throws EbbError that names file, field or tensor, what was found and what was expected; for a dtype where headers say it
 */
export function describeModel(path: string, dtype?: StoredType): ModelDescription {
  const model = openModel(path, (where, fields) => assumedType(where, fields, dtype));
  if (dtype === undefined || model.missing?.assumed) return model;
  throw new EbbError(`--dtype is ${dtype}, but ${path} says itself how its tensors are stored (${dtypesText(model.tensors)}); leave --dtype out`);
}

/**
 * Opens a checkpoint: a Hugging Face folder (or a file in it: config.json, its index, model.safetensors), or a .gguf file.
 * Reads headers only. Throws an EbbError that names file, field or tensor, what was found and what was expected; where weights are
 * missing, it says which file lacks what.
 */
export function openCheckpoint(path: string): Checkpoint {
  const refuse = (lacks: string): never => {
    throw new EbbError(`${lacks}; compile, inspect, plan, check and tune need no weights, everything else does`);
  };
  const model = openModel(path, (_where, _fields, lacks) => refuse(lacks));
  return model.missing ? refuse(model.missing.message) : model;
}

/** @file A checkpoint, whatever its format: weights under Hugging Face's names and row order. What its model is, others say. */

import { basename, dirname } from 'node:path';
import { EbbError, option } from '../errors.ts';
import { type ByteSource, show } from './bytes.ts';
import { cutText } from './cut.ts';
import { pathKind } from './files.ts';
import { BLOCKS, type BlockType } from './ggmlBlocks.ts';
import type { Gguf } from './gguf.ts';
import { openGguf, type PlacedTensor } from './ggufParts.ts';
import { unpermuteRows } from './ggufRows.ts';
import { type Assume, INDEX, openHfFolder, SINGLE } from './hfFolder.ts';
import type { JsonObject } from './json.ts';
import type { Described, Layout } from './layout.ts';
import { assumedType, type StoredType } from './storedType.ts';
import type { CompareHead } from './tiedHead.ts';
import { type Found, kindOfCut, type MissingWeights, matchTensors, type WeightHeader, type WeightSource } from './weights.ts';

/** What says which model a checkpoint holds: the table of families, or a model that was compiled. */
export interface Describe<Model extends Layout> {
  /** The model that a config.json describes, and the head that lies beside it. @throws EbbError, which begins with `where`, the file's path */
  readonly config: (where: string, fields: JsonObject, compare: CompareHead) => Described<Model>;
  /** The model that the header of a GGUF file describes. @throws EbbError */
  readonly gguf: (gguf: Gguf, source: ByteSource) => Described<Model>;
}

/** A model as its configuration and headers describe it; its weights may be missing. */
export interface StoredDescription<Model extends Layout> extends Described<Model> {
  readonly path: string;
  readonly kind: 'hf' | 'gguf';
  /** In the model's order; exactly the tensors that it needs. */
  readonly tensors: ReadonlyMap<string, WeightHeader>;
  /** What of the weights is not there; null where they can be read. */
  readonly missing: MissingWeights | null;
}

/** A checkpoint that was opened: a Hugging Face folder or a GGUF file, whose weights are read when they are asked for. */
export interface StoredCheckpoint<Model extends Layout> extends StoredDescription<Model> {
  readonly tensors: ReadonlyMap<string, WeightSource>;
}

const GGUF_TYPES: Readonly<Record<string, BlockType>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  Q8_0: 'q8_0',
  Q4_0: 'q4_0',
  Q4_1: 'q4_1',
  Q5_0: 'q5_0',
  Q5_1: 'q5_1',
  IQ4_NL: 'iq4_nl',
  Q2_K: 'q2_k',
  Q3_K: 'q3_k',
  Q4_K: 'q4_k',
  Q5_K: 'q5_k',
  Q6_K: 'q6_k',
};

/** A tensor of a GGUF file as a weight of the model. */
function foundIn({ file, name: stored, type, dims, byteOffset, byteLength }: PlacedTensor, read: ByteSource['read']): Found {
  return ({ name, gguf: { pairedHeads: heads = 0 } = { name: stored } }) => {
    const dtype = GGUF_TYPES[type];
    if (!dtype)
      throw new EbbError(
        `${file}: tensor ${show(stored)} has type ${type}, expected one of ${Object.keys(GGUF_TYPES).join(', ')}; convert the model to one of these`,
      );
    const shape = [...dims].reverse();
    const [rows] = shape;
    const bytes = (offset = 0, length = byteLength - offset): Uint8Array => read(byteOffset + offset, length);
    // a tensor without axes has no rows to put in order, and no place in a model
    if (heads === 0 || rows === undefined) return { name, file, shape, dtype, byteLength, unit: BLOCKS[dtype].bytesPerBlock, read: bytes };
    // rows change places within a head, so whole heads are read
    const unit = byteLength / heads;
    const unpermuted = (offset?: number, length?: number): Uint8Array => {
      const part = bytes(offset, length);
      const partHeads = part.length / unit;
      return unpermuteRows(part, (rows / heads) * partHeads, partHeads);
    };
    return { name, file, shape, dtype, byteLength, unit, read: unpermuted };
  };
}

/** Opens the model in a GGUF file, or in all parts of one. */
function openGgufModel<Model extends Layout>(path: string, describe: Describe<Model>): StoredCheckpoint<Model> {
  const gguf = openGguf(path);
  const { file, source, cut } = gguf;
  const described = describe.gguf(gguf, source);
  const tensors = matchTensors(described.model, {
    tensors: new Map([...gguf.tensors].map(([name, tensor]) => [name, foundIn(tensor, source.read)])),
    namesOf: (expected) => (expected.gguf ? [expected.gguf.name] : []),
    places: { weights: file, config: `${basename(file)}'s metadata` },
  });
  const missing: MissingWeights | null = cut && { kind: kindOfCut(cut.dataThere, cut.data), message: cutText(cut), assumed: null };
  return { ...described, path: file, kind: 'gguf', tensors, missing };
}

/** The model at `path`, whether or not its weights are there. */
function openModel<Model extends Layout>(path: string, describe: Describe<Model>, assume: Assume): StoredCheckpoint<Model> {
  if (pathKind(path) === 'file' && path.toLowerCase().endsWith('.gguf')) return openGgufModel(path, describe);
  const name = basename(path);
  const isWeights = name === INDEX || name === SINGLE;
  const inFolder = name === 'config.json' || isWeights;
  const expected = 'expected a Hugging Face checkpoint folder or a .gguf file';
  if (pathKind(path) === 'file' && /\.[mc]?ts$/i.test(name))
    throw new EbbError(`${path}: is TypeScript, ${expected}; a model definition can be trained, compiled, inspected, planned, and run by forward and grad`);
  if (pathKind(path) === 'file' && !inFolder) throw new EbbError(`${path}: is no model, ${expected}`);
  const folder = pathKind(path) === 'folder' ? path : dirname(path);
  const asked = folder !== path && isWeights ? name : undefined;
  return { ...openHfFolder(folder, asked, describe.config, assume), path: folder, kind: 'hf' };
}

/** How tensors are stored, in words. */
export function dtypesText(tensors: ReadonlyMap<string, WeightHeader>): string {
  return [...new Set([...tensors.values()].map((t) => t.dtype))].sort().join(', ');
}

/**
 * What a model is, by its configuration and headers: of a folder whose weights may be missing, or of a GGUF or safetensors file of which
 * the first megabytes are enough.
 * @param describe says what the model is
 * @param dtype how tensors are stored that no header describes, where not as the configuration says
 * @throws EbbError that names file, field or tensor, what was found and what was expected; for a dtype where headers say it
 */
export function describeStored<Model extends Layout>(path: string, describe: Describe<Model>, dtype?: StoredType): StoredDescription<Model> {
  const model = openModel(path, describe, (where, fields) => assumedType(where, fields, dtype));
  if (dtype === undefined || model.missing?.assumed) return model;
  throw new EbbError(
    `${option('dtype')} is ${dtype}, but ${path} says itself how its tensors are stored (${dtypesText(model.tensors)}); leave ${option('dtype')} out`,
  );
}

/**
 * Opens a checkpoint: a Hugging Face folder (or a file in it: config.json, its index, model.safetensors), or a .gguf file.
 * Headers are read now, weights when they are asked for.
 * @param describe says what the model is
 * @throws EbbError that names file, field or tensor, what was found and what was expected; where weights are missing, which file lacks what
 */
export function openStored<Model extends Layout>(path: string, describe: Describe<Model>): StoredCheckpoint<Model> {
  const refuse = (lacks: string): never => {
    throw new EbbError(`${lacks}; compile, inspect, plan, check and tune need no weights, everything else does`);
  };
  const model = openModel(path, describe, (_where, _fields, lacks) => refuse(lacks));
  return model.missing ? refuse(model.missing.message) : model;
}

/** @file A Hugging Face folder: its configuration, and its weights as far as they are there. */

import { join } from 'node:path';
import { EbbError, option } from '../errors.ts';
import { show } from './bytes.ts';
import { cutOf, cutText, type MissingData } from './cut.ts';
import { fileExists, ggufIn, readText } from './files.ts';
import { BLOCKS, type BlockType } from './ggmlBlocks.ts';
import { type JsonObject, parseJsonObject } from './json.ts';
import { type Described, isComputed, type Layout, type TiedHead } from './layout.ts';
import { readTensor, type SafetensorsFile } from './safetensors.ts';
import { openIndex, openSingle, type Shards, shardsText } from './safetensorsIndex.ts';
import { type AssumedType, roundedNotes, unusedDtype } from './storedType.ts';
import { type CompareHead, compareHead, tieText } from './tiedHead.ts';
import { type Found, kindOfCut, type MissingWeights, matchTensors, unreadable, type WeightSource } from './weights.ts';

const SAFETENSORS_TYPES: Readonly<Record<string, BlockType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };
/** The files that weights lie in, or are listed in. */
export const INDEX = 'model.safetensors.index.json';
export const SINGLE = 'model.safetensors';
const OTHER_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth', 'tf_model.h5', 'flax_model.msgpack'];

/** What a folder without a config.json is by what it holds instead, and what to do with it; most telling first. */
const OTHER_FOLDERS: readonly (readonly [held: string, (folder: string) => string])[] = [
  ['adapter_config.json', (folder) => `it holds a PEFT adapter: give the model it was made for, and ${option('adapter')} ${folder}`],
  ['plan.json', (folder) => `it holds a trainer that ebb compile wrote: run ${join(folder, 'trainer.js')}`],
  ['training.safetensors', () => `it holds a checkpoint that a run goes on from: give the run folder as ${option('out')}, with ${option('resume')}`],
  ['metrics.jsonl', () => 'it holds a run that has trained nothing yet, or no model of a checkpoint'],
  [
    SINGLE,
    (folder) => `it holds ${SINGLE} alone: where those are weights of a definition, give the definition (.ts) as model, and ${option('weights')} ${folder}`,
  ],
];

/** The fields of a Hugging Face folder's config.json. @throws EbbError */
function configFields(folder: string): JsonObject {
  const path = join(folder, 'config.json');
  if (!fileExists(path)) {
    const gguf = ggufIn(folder);
    const [, hint] = OTHER_FOLDERS.find(([held]) => fileExists(join(folder, held))) ?? [];
    const told = gguf === undefined ? hint?.(folder) : `it holds a GGUF file: give ${gguf}`;
    throw new EbbError(`${folder}: holds no config.json, expected a Hugging Face checkpoint folder${told === undefined ? '' : `; ${told}`}`);
  }
  return parseJsonObject(path, readText(path, 2 ** 24));
}

/** A tensor of a file as a weight of the model. */
function foundIn(file: SafetensorsFile, stored: string): Found {
  return ({ name }) => {
    const info = file.tensors.get(stored);
    if (!info) throw new Error(`internal: ${file.path} has no tensor ${stored}`);
    const dtype = SAFETENSORS_TYPES[info.dtype];
    if (!dtype)
      throw new EbbError(
        `${file.path}: tensor ${show(stored)} has dtype ${info.dtype}, expected F32, F16 or BF16; convert it to F32 (tensor.float() in PyTorch)`,
      );
    const read = (offset?: number, length?: number): Uint8Array => readTensor(file, stored, offset, length);
    return { name, file: file.path, shape: info.shape, dtype, byteLength: info.byteLength, unit: BLOCKS[dtype].bytesPerBlock, read };
  };
}

/** All tensors by the files' names. @param undescribed what stands for those whose file is not there */
function foundTensors({ files, absent }: Shards, undescribed: Found): Map<string, Found> {
  const there = [...files].map(([stored, file]) => [stored, foundIn(file, stored)] as const);
  return new Map([...there, ...[...absent.keys()].map((stored) => [stored, undescribed] as const)]);
}

/** The files that a folder's weights may be read from, the one that is read first: what was given, or else the single file, as in transformers. */
function weightFiles(folder: string, asked: string | undefined): string[] {
  const there = [SINGLE, INDEX].filter((name) => fileExists(join(folder, name)));
  return asked === INDEX ? there.reverse() : there;
}

/** What is said where an index lies beside a single file. */
function besideNotes(chosen: string | undefined, other: string | undefined, asked: string | undefined): string[] {
  if (chosen === undefined || other === undefined) return [];
  const why = chosen === asked ? 'which was given' : 'which transformers reads too';
  const hint = chosen === INDEX ? '' : `; give ${INDEX} itself to read the files that it names`;
  return [`${other} is not used: ${chosen} lies beside it, ${why}${hint}`];
}

/** A Hugging Face folder, opened. */
export interface HfFolder<Model> extends Described<Model> {
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
 * @param asked the weights' file that was given, if one was
 * @param describe gives the model that the fields of config.json describe
 * @throws EbbError for a broken configuration or header, for tensors that are not those of the model, and what `describe` and `assume` throw
 */
export function openHfFolder<Model extends Layout>(
  folder: string,
  asked: string | undefined,
  describe: (where: string, fields: JsonObject, compare: CompareHead) => Described<Model>,
  assume: Assume,
): HfFolder<Model> {
  const fields = configFields(folder);
  const configPath = join(folder, 'config.json');
  const [chosen, other] = weightFiles(folder, asked);
  const path = chosen === undefined ? undefined : join(folder, chosen);
  // opened when they are asked for, so that an error in the configuration is said first
  let opened: Shards | null = null;
  const open = (from: string): Shards => (opened ??= from.endsWith('.json') ? openIndex(from) : openSingle(from));
  const compare: CompareHead = (head) => {
    if (path === undefined) return 'none';
    const { files, absent } = open(path);
    return compareHead(files, absent)(head);
  };
  const { model, notes: own } = describe(configPath, fields, compare);
  const notes = [...own, ...unusedDtype(fields), ...besideNotes(chosen, other, asked)];
  if (path === undefined) {
    const other = OTHER_WEIGHTS.find((name) => fileExists(join(folder, name)));
    const message = `${folder}: holds no weights Ebb reads${other ? ` (found ${other})` : ''}, expected ${SINGLE} or ${INDEX}`;
    const assumed = assume(configPath, fields, message);
    const tensors = [...model.tensors()].map(({ name, shape }) => [name, unreadable(name, shape, assumed.dtype, message)] as const);
    return { model, notes, tensors: new Map(tensors), missing: { kind: 'configuration', message, assumed } };
  }
  const shards = open(path);
  const absentText = `${path}: names ${shardsText(shards.absent.values())}, expected in the same folder but not there`;
  const assumed = shards.absent.size > 0 ? assume(configPath, fields, absentText) : null;
  const undescribed: Found = ({ name, shape }) => unreadable(name, shape, assumed?.dtype ?? 'f32', absentText);
  const found = foundTensors(shards, undescribed);
  const alone = headAlone(model, (name) => found.has(name));
  const tensors = matchTensors(model, {
    tensors: found,
    namesOf: ({ name }) => {
      if (alone?.embedding.includes(name)) return [alone.name];
      // a checkpoint of the bare model leaves the prefix out
      return model.prefix !== '' && name.startsWith(model.prefix) ? [name, name.slice(model.prefix.length)] : [name];
    },
    places: { weights: path, config: configPath },
  });
  const described = [...tensors.values()].filter(({ file }) => file !== undefined);
  const lone = alone ? [`${tieText(fields)}, and the files hold ${alone.name} alone: it is the embedding too, as in transformers`] : [];
  return { model, notes: [...notes, ...lone, ...roundedNotes(fields, described)], tensors, missing: missingOf(shards, tensors, absentText, assumed) };
}

/** The head that stands for the embedding which it is tied to, where the files hold it alone; null where they do not. */
function headAlone(model: Layout, has: (name: string) => boolean): TiedHead | null {
  const { head } = model;
  return head && isComputed(model, head.name) && has(head.name) && !head.embedding.some(has) ? head : null;
}

function missingOf(shards: Shards, tensors: ReadonlyMap<string, WeightSource>, absentText: string, assumed: AssumedType | null): MissingWeights | null {
  const files = [...new Set(shards.files.values())];
  const cuts = files.map((file) => cutOf(file.path, file.tensors.values(), file.size)).filter((cut): cut is MissingData => cut !== null);
  const [first] = cuts;
  if (assumed && files.length === 0) return { kind: 'configuration', message: absentText, assumed };
  if (!assumed && !first) return null;
  const all = [...tensors.values()].reduce((sum, t) => sum + t.byteLength, 0);
  const inFiles = files.reduce((sum, file) => sum + [...file.tensors.values()].reduce((n, t) => n + t.byteLength, 0), 0);
  const there = cuts.reduce((sum, cut) => sum - cut.data + cut.dataThere, inFiles);
  return { kind: kindOfCut(there, all), message: assumed || !first ? absentText : cutText(first), assumed };
}

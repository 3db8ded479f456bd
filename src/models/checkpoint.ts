/** @file Opens a checkpoint by the table of families: which family a file is of, its configuration, and its tensors. */

import { EbbError } from '../errors.ts';
import { type ByteSource, show } from '../formats/bytes.ts';
import { type Describe, describeStored, openStored, type StoredCheckpoint, type StoredDescription } from '../formats/checkpoint.ts';
import type { Gguf } from '../formats/gguf.ts';
import { isOff } from '../formats/ggufKeys.ts';
import { type JsonObject, parseJsonObject } from '../formats/json.ts';
import type { Described } from '../formats/layout.ts';
import type { StoredType } from '../formats/storedType.ts';
import type { CompareHead } from '../formats/tiedHead.ts';
import * as families from './families.ts';
import type { Family, Model, ModelConfig } from './family.ts';

/** Every family of the library. */
export const FAMILIES: readonly Family[] = Object.values(families);

/** A model as its configuration and headers describe it; its weights may be missing. */
export interface ModelDescription extends StoredDescription<Model> {
  readonly config: ModelConfig;
}

/** A checkpoint that was opened: a Hugging Face folder or a GGUF file, whose weights are read when they are asked for. */
export interface Checkpoint extends StoredCheckpoint<Model> {
  readonly config: ModelConfig;
}

/** A model, its configuration, and what of its config.json nothing uses. */
export interface ModelReading extends Described<Model> {
  readonly config: ModelConfig;
}

const textOf = ({ kind, architectures: [first] }: Family): string => `${kind} (${first})`;

/** The family of a config.json. @throws EbbError for a family that is not in the table, and where the file names two */
function familyOfConfig(where: string, { model_type: type, architectures }: JsonObject, table: readonly Family[]): Family {
  const supported = table.map(textOf).join(' or ');
  const classes = architectures === undefined || architectures === null ? [] : [architectures].flat();
  const [first] = classes;
  const named = table.find((family) => family.architectures.some((known) => known === first));
  const found = table.find(({ kind }) => kind === (type ?? named?.kind));
  if (!found) {
    if ((type ?? first) === undefined) throw new EbbError(`${where}: model_type is missing, expected ${supported}`);
    const both = first === undefined ? '' : ` (architectures: ${show(first)})`;
    throw new EbbError(`${where}: model_type is ${show(type)}${both}, an architecture Ebb does not support, expected ${supported}`);
  }
  const other = classes.find((name) => !found.architectures.some((known) => known === name));
  if (other !== undefined) throw new EbbError(`${where}: architectures is ${show(other)}, expected ${found.architectures[0]} for model_type ${found.kind}`);
  return found;
}

/** The family of a GGUF file. @throws EbbError for an architecture that is not in the table */
function familyOfGguf({ file, metadata }: Gguf, table: readonly Family[]): Family {
  const architecture = metadata.get('general.architecture');
  const known = table.filter(({ gguf }) => gguf?.architecture === architecture);
  const isOn = ({ gguf }: Family): boolean => gguf?.distinct !== undefined && !isOff(metadata.get(`${gguf.architecture}.${gguf.distinct}`));
  const found = known.find(isOn) ?? known.find(({ gguf }) => gguf?.distinct === undefined);
  if (found) return found;
  const supported = ggufArchitectures(table).join(' or ');
  throw new EbbError(
    `${file}: general.architecture is ${architecture === undefined ? 'missing' : show(architecture)}, expected ${supported} (other architectures are not supported in GGUF)`,
  );
}

/** Every `general.architecture` of a table of families. */
export const ggufArchitectures = (table: readonly Family[] = FAMILIES): string[] => [...new Set(table.flatMap(({ gguf }) => gguf?.architecture ?? []))];

/** The model in the fields of a config.json, whose path `where` begins every error. @param compare the head that lies beside it with the embedding @throws EbbError, also for fields that nothing reads */
export function readHfConfig(where: string, fields: JsonObject, table: readonly Family[] = FAMILIES, compare?: CompareHead): ModelReading {
  const { model, notes } = familyOfConfig(where, fields, table).ofConfig(where, fields, compare);
  return { model, config: model.config, notes };
}

/** The model in the text of a config.json, whose path `where` begins every error. @throws EbbError, also for fields that nothing reads */
export function parseHfConfig(where: string, text: string, table: readonly Family[] = FAMILIES): ModelReading {
  return readHfConfig(where, parseJsonObject(where, text), table);
}

/** The model in the header of a GGUF file. @param source the file, of which tensors that hold settings are read @throws EbbError, also for keys that nothing reads */
export function readGgufModel(gguf: Gguf, source: ByteSource, table: readonly Family[] = FAMILIES): ModelReading {
  const { model, notes } = familyOfGguf(gguf, table).ofGguf(gguf, source);
  return { model, config: model.config, notes };
}

/** What says which model a checkpoint holds, by a table of families. */
const byFamilies = (table: readonly Family[]): Describe<Model> => ({
  config: (where, fields, compare) => readHfConfig(where, fields, table, compare),
  gguf: (gguf, source) => readGgufModel(gguf, source, table),
});

/**
 * What a model is, by its configuration and headers: of a folder whose weights may be missing, or of a GGUF or safetensors file of which
 * the first megabytes are enough.
 * @param dtype how tensors are stored that no header describes, where not as the configuration says
 * @param table the families that are known; default those of the library
 * @throws EbbError that names file, field or tensor, what was found and what was expected; for a dtype where headers say it
 */
export function describeModel(path: string, dtype?: StoredType, table: readonly Family[] = FAMILIES): ModelDescription {
  const described = describeStored(path, byFamilies(table), dtype);
  return { ...described, config: described.model.config };
}

/**
 * Opens a checkpoint: a Hugging Face folder (or a file in it: config.json, its index, model.safetensors), or a .gguf file.
 * Headers are read now, weights when they are asked for.
 * @param table the families that are known; default those of the library
 * @throws EbbError that names file, field or tensor, what was found and what was expected; where weights are missing, which file lacks what
 */
export function openCheckpoint(path: string, table: readonly Family[] = FAMILIES): Checkpoint {
  const opened = openStored(path, byFamilies(table));
  return { ...opened, config: opened.model.config };
}

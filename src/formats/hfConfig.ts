/** @file Reads Hugging Face's config.json by a family's fields. Every field is read, refused by name, or listed as not used. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { type KnownFields, refuseField, unusedFields } from './hfConfigFields.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

/** Reads the fields of a config.json, whose path `where` begins every error. @throws EbbError */
export interface ConfigReader<Config> {
  (where: string, fields: JsonObject): ConfigReading<Config>;
  /** What becomes of fields; left out where nobody says which are read. */
  readonly known?: KnownFields;
}

/** A configuration, and notes on what of the file is not used. */
export interface ConfigReading<Config> {
  readonly config: Config;
  readonly notes: readonly string[];
}

const tokenId = z.int().min(0);

/** What fields may hold. `field.size.nullish()` may also be absent or null. */
export const field = {
  /** A size of a tensor. */
  size: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  /** A number of layers. More than 10,000 is a broken number, and each would be traced. */
  layers: z.int().min(1).max(10_000),
  positive: z.number().positive(),
  flag: z.boolean(),
  whole: z.int(),
  tokenId,
  tokenIds: z.union([tokenId, z.array(tokenId)], { error: 'a token id or a list of token ids' }),
  names: z.array(z.string()),
  oneOf: <const Names extends readonly string[]>(names: Names) => z.enum(names),
  /** Anything: what reads it checks it. */
  any: z.custom<Json>(),
};

/** Types in a person's words, where zod's own name is none. */
const TYPE_WORDS: Readonly<Record<string, string>> = { int: 'a whole number', number: 'a number', boolean: 'true or false', array: 'a list' };

/** What was expected where an issue arose. */
function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_value':
      return `one of ${issue.values.join(', ')}`;
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? `a ${issue.expected}`;
    default:
      return issue.message;
  }
}

/** Reads `fields` by a schema. @throws EbbError that names every field that does not fit, what was found and what was expected */
export function readFields<T>(where: string, schema: z.ZodType<T>, fields: JsonObject): T {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const name = issue.path.join('.');
    const value = issue.path.reduce<unknown>((v, key) => (isObject(v as JsonObject) ? (v as JsonObject)[String(key)] : undefined), fields);
    return `${name} is ${value === undefined ? 'missing' : show(value)}, expected ${expectation(issue)}`;
  });
  throw new EbbError(`${where}: ${problems.join('; ')}`);
}

/** What fields of a shape hold. */
export type FieldsOf<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

/** How a family reads its config.json. */
export interface ConfigSpec<Shape extends z.ZodRawShape, Config> extends Pick<KnownFields, 'kind'> {
  /** The fields that are read, and what they may hold. */
  readonly fields: Shape;
  /** Other names of fields, as the reference takes them too: `{ hidden_size: 'n_embd' }`. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Fields that are supported at one value alone; they may also be absent or null. */
  readonly only?: KnownFields['only'];
  /** The configuration of the fields, with the reference's defaults. `where` begins every error. @throws EbbError */
  readonly read: (fields: FieldsOf<Shape>, where: string) => Config;
}

/** Fields under the names that the family reads. @throws EbbError where a file has a field under two names, with two values */
function byOwnNames(where: string, fields: JsonObject, aliases: Readonly<Record<string, string>>): JsonObject {
  const named: JsonObject = { ...fields };
  for (const [alias, name] of Object.entries(aliases)) {
    const other = fields[alias];
    const own = fields[name];
    if (other === undefined) continue;
    if (own !== undefined && own !== other) refuseField(where, alias, other, `${show(own)}, as ${name} says, which is the same field`);
    named[name] = other;
  }
  return named;
}

/** What reads the config.json of a family. */
export function configReader<Shape extends z.ZodRawShape, Config>(spec: ConfigSpec<Shape, Config>): ConfigReader<Config> {
  const { kind, fields: shape, aliases = {}, only = {} } = spec;
  const schema = z.object(shape);
  const read = new Set([...Object.keys(shape), ...Object.keys(aliases)]);
  const known: KnownFields = { kind, read, only };
  const reader = (where: string, fields: JsonObject): ConfigReading<Config> => {
    const notes = unusedFields(where, known, fields);
    return { config: spec.read(readFields(where, schema, byOwnNames(where, fields, aliases)), where), notes };
  };
  return Object.assign(reader, { known });
}

/** The fields that name the first and last tokens of texts. */
export const tokenFields = { bos_token_id: field.tokenId.nullish(), eos_token_id: field.tokenIds.nullish() };

/** The tokens of `tokenFields`. */
export interface ModelTokens {
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

/** The tokens that a config.json names. */
export function readTokens({ bos_token_id: bos, eos_token_id: eos }: FieldsOf<typeof tokenFields>): ModelTokens {
  return { bosTokenId: bos ?? null, eosTokenIds: eos === null || eos === undefined ? [] : [eos].flat() };
}

/** The fields that `readTokens` reads back. */
export function writeTokens({ bosTokenId, eosTokenIds }: ModelTokens): JsonObject {
  const [only = null, ...others] = eosTokenIds;
  return { bos_token_id: bosTokenId, eos_token_id: others.length > 0 ? [...eosTokenIds] : only };
}

/**
 * The row of the embedding that transformers hands to `nn.Embedding` as `padding_idx`: the pad token's, from the end where it is negative.
 * @param name what the file calls the token
 * @throws EbbError for one that the embedding does not have, which transformers refuses too
 */
export function paddingIndex(where: string, name: string, id: number | null | undefined, vocabSize: number): number | null {
  if (id === null || id === undefined) return null;
  if (id >= vocabSize || id < -vocabSize)
    throw new EbbError(
      `${where}: ${name} is ${id}, and the embedding has rows 0 to ${vocabSize - 1}; give it a token that the model has a row for, or leave it out`,
    );
  return id < 0 ? vocabSize + id : id;
}

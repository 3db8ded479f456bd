/** @file The records of data as examples to learn: one kind in all files, told by the fields of the first record and held to by all others. */

import { closest, distance } from 'fastest-levenshtein';
import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { plainJson } from '../formats/exactJson.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import { FIELDS, type FieldName, type FieldNames } from './fieldNames.ts';
import { type Example, KINDS_TEXT, RECORD_KINDS, type RecordKind } from './kinds.ts';
import type { LocatedData } from './locate.ts';
import type { RawRecord } from './rawRecord.ts';
import { rawRecords } from './readers.ts';

/** A record, ready to be learnt. */
export interface DataRecord {
  /** From 1, over all files. */
  readonly number: number;
  /** Where it lies, for errors: the file, and the line or record in it. */
  readonly where: string;
  readonly example: Example;
  /** Whether it is learnt at all: `weight: 0` and `train: false` say that it is not. */
  readonly isLearnt: boolean;
}

/** What is found out while records are read. */
export interface RecordsRead {
  kind: RecordKind | null;
  /** Fields that nothing reads. */
  readonly unused: Set<string>;
  /** Fields that some record had, by their names here. */
  readonly taken: Set<FieldName>;
}

/** Nothing is found out yet. */
export const nothingRead = (): RecordsRead => ({ kind: null, unused: new Set(), taken: new Set() });

/** @throws EbbError for names of fields that the kind of these records does not read */
function checkNames(where: string, { title, needs, takes }: RecordKind, names: FieldNames): void {
  const other = FIELDS.find((field) => names[field] !== undefined && !needs.includes(field) && !takes.includes(field));
  if (other === undefined) return;
  throw new EbbError(
    `${where}: is one of ${title}, which have no ${other}, and fields names it (${other}: ${names[other]}); they have ${[...needs, ...takes].join(', ')}`,
  );
}

/** @throws EbbError for names of fields that no record has */
function checkTaken(path: string, names: FieldNames, { taken }: RecordsRead): void {
  const idle = FIELDS.find((field) => names[field] !== undefined && !taken.has(field));
  if (idle !== undefined) throw new EbbError(`${path}: no record has the field ${names[idle]}, which fields names (${idle}: ${names[idle]}); leave it out`);
}

/** The name that a field has in the records. */
const called = (names: FieldNames, field: FieldName): string => names[field] ?? field;

/** Whether the user named a field that tells this kind. */
const isNamed = ({ needs, takes }: RecordKind, names: FieldNames): boolean => [...needs, ...takes].some((field) => names[field] !== undefined);

/** The kinds whose fields a record has. Where the user named fields, those of no other kind count. */
function kindsOf(record: JsonObject, names: FieldNames): readonly RecordKind[] {
  const named = RECORD_KINDS.filter((kind) => isNamed(kind, names));
  const asked = named.filter(({ needs }) => needs.some((field) => names[field] !== undefined));
  const candidates = asked.length > 0 ? asked : named.length > 0 ? named : RECORD_KINDS;
  return candidates.filter(({ needs }) => needs.every((field) => Object.hasOwn(record, called(names, field))));
}

const fieldsText = (record: JsonObject): string => Object.keys(record).slice(0, 8).map(show).join(', ') || '(none)';

/** The name of a known field that one of the record's probably means. */
function meantField(record: JsonObject): string {
  for (const name of Object.keys(record)) {
    const like = closest(name.toLowerCase(), [...FIELDS]);
    if (name !== like && distance(name.toLowerCase(), like) <= 1) return ` (did you mean ${like} by ${name}?)`;
  }
  return '';
}

/** @throws EbbError for preference pairs, which no loss takes */
function refusePairs(where: string, record: JsonObject, names: FieldNames): void {
  if (!Object.hasOwn(record, 'chosen') || !Object.hasOwn(record, 'rejected') || Object.values(names).some((name) => name !== undefined)) return;
  throw new EbbError(
    `${where}: holds a preference pair (chosen and rejected), for which Ebb has no loss; to learn the chosen ones alone, name the fields: { prompt: prompt, completion: chosen }`,
  );
}

/** The kind of a record. @param before the kind of those before it @throws EbbError for fields that tell no kind, several, or another one */
function kindOf({ where }: RawRecord, record: JsonObject, names: FieldNames, before: RecordKind | null): RecordKind {
  refusePairs(where, record, names);
  const kinds = kindsOf(record, names);
  const [kind, other] = kinds;
  if (kind && other)
    throw new EbbError(
      `${where}: has the fields of ${kind.title} (${kind.needs.join(', ')}) and of ${other.title} (${other.needs.join(', ')}); say which are meant by fields, such as fields: { ${other.needs.map((field) => `${field}: ${field}`).join(', ')} }`,
    );
  if (!before && kind) return kind;
  if (!before)
    throw new EbbError(
      `${where}: has the fields ${fieldsText(record)}, expected ${KINDS_TEXT}${meantField(record)}; or name its fields by fields, such as fields: { text: body }`,
    );
  if (kind === before) return before;
  if (kind) throw new EbbError(`${where}: is one of ${kind.title}, and the records before are ${before.title}; give data of one kind`);
  const missing = before.needs.find((field) => !Object.hasOwn(record, called(names, field)));
  throw new EbbError(
    `${where}: ${called(names, missing ?? 'text')} is missing, and the records before are ${before.title}; it has the fields ${fieldsText(record)}${meantField(record)}`,
  );
}

/** A record without fields that are null: they stand for nothing, as absent ones do. */
const withoutNulls = (fields: JsonObject): JsonObject => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as JsonObject;

/** What a table's text says: every value of one is a text. */
const OF_TABLES: Readonly<Record<string, Json>> = { '0': 0, '0.0': 0, '1': 1, '1.0': 1, true: true, false: false };

/** The switches of a record, of a table's as what their texts say; those that are empty are not given. */
function switchesOf({ weight, train }: JsonObject, isTable: boolean): { readonly weight: Json | undefined; readonly train: Json | undefined } {
  const read = (value: Json | undefined): Json | undefined => {
    if (!isTable || typeof value !== 'string') return value;
    const text = value.trim().toLowerCase();
    return text === '' ? undefined : Object.hasOwn(OF_TABLES, text) ? OF_TABLES[text] : value;
  };
  return { weight: read(weight), train: read(train) };
}

/** Whether a record is learnt. @throws EbbError for a weight that is neither 0 nor 1 */
function learns(where: string, record: JsonObject, isTable: boolean): boolean {
  const { weight, train } = switchesOf(record, isTable);
  const plain: Json = weight === undefined ? 1 : plainJson(weight);
  if (plain !== 0 && plain !== 1) throw new EbbError(`${where}: weight is ${show(plain)}, expected 1 (learnt) or 0 (not learnt)`);
  if (train !== undefined && typeof train !== 'boolean') throw new EbbError(`${where}: train is ${show(train)}, expected true or false`);
  return plain === 1 && train !== false;
}

/** Fields that say whether a record is learnt. */
const SWITCHES = ['weight', 'train'];

function exampleOf(where: string, kind: RecordKind, record: JsonObject, names: FieldNames, read: RecordsRead): Example {
  const own = [...kind.needs, ...kind.takes].map((field) => called(names, field));
  const rest = Object.fromEntries(Object.entries(record).filter(([name]) => !own.includes(name) && !SWITCHES.includes(name))) as JsonObject;
  let isRead = false;
  const others = (): JsonObject => {
    isRead = true;
    return rest;
  };
  const take = (field: FieldName): Json | undefined => {
    const name = called(names, field);
    if (!Object.hasOwn(record, name)) return undefined;
    read.taken.add(field);
    return record[name];
  };
  const example = kind.read(where, take, others);
  // a chat template reads what else a conversation has
  if (!isRead) for (const name of Object.keys(rest)) read.unused.add(name);
  return example;
}

/**
 * The records of data, one at a time. @param read is filled while they are read
 * @throws EbbError with the place of what is wrong, and where there is no record at all
 */
export async function* readRecords(data: LocatedData, names: FieldNames = {}, read: RecordsRead = nothingRead()): AsyncGenerator<DataRecord> {
  let number = 0;
  for (const file of data.files)
    for await (const raw of rawRecords(file)) {
      const { where } = raw;
      const record = withoutNulls(raw.fields);
      const kind = kindOf(raw, record, names, read.kind);
      if (!read.kind) checkNames(where, kind, names);
      read.kind = kind;
      yield { number: ++number, where, example: exampleOf(where, kind, record, names, read), isLearnt: learns(where, record, raw.isTable ?? false) };
    }
  if (number > 0) checkTaken(data.path, names, read);
  if (number === 0) throw new EbbError(`${data.path}: holds no examples, expected records with ${KINDS_TEXT}`);
}

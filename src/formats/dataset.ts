/** @file Training data of any kind Ebb reads: plain text, JSONL records, or ready batches of token ids. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { readText } from './files.ts';
import { type Json, type JsonObject, parseJsonObject } from './json.ts';
import { assembleBatches, type IntTensor, type ReadyBatches } from './readyBatches.ts';
import { type DataRecord, type FieldNames, readRecords } from './records.ts';
import { openSafetensors, readInts } from './safetensors.ts';

export type { ReadyBatches } from './readyBatches.ts';
export type { DataRecord, FieldNames } from './records.ts';

export type Dataset =
  | { readonly kind: 'text'; readonly path: string; readonly text: string }
  | { readonly kind: 'records'; readonly path: string; readonly records: () => Generator<DataRecord> }
  | { readonly kind: 'batches'; readonly path: string; readonly batches: ReadyBatches };

/** The tensor that nested lists of integers stand for; lists of one depth are of one length. */
function listTensor(path: string, name: string, value: Json): IntTensor {
  const shape = shapeOf(value);
  const data: number[] = [];
  const walk = (level: Json, depth: number): void => {
    if (depth === shape.length) {
      if (!Number.isInteger(level) || Math.abs(Number(level)) >= 2 ** 31)
        throw new EbbError(`${path}: ${name} holds ${show(level)}, expected whole numbers of 32 bits`);
      data.push(Number(level));
      return;
    }
    if (!Array.isArray(level) || level.length !== shape[depth]) {
      throw new EbbError(
        `${path}: ${name} has ${Array.isArray(level) ? `rows of ${level.length} and of ${shape[depth]}` : show(level)}, expected lists of equal length`,
      );
    }
    for (const item of level) walk(item, depth + 1);
  };
  walk(value, 0);
  return { shape, data: Int32Array.from(data) };
}

/** The lengths of nested lists, by the first one of each depth. */
function shapeOf(value: Json | undefined): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : [];
}

function jsonBatches(path: string, fields: JsonObject): ReadyBatches {
  const held = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [[name, shapeOf(value)] as const]));
  const take = (name: string): IntTensor | undefined => {
    const value = fields[name];
    return value === undefined || value === null ? undefined : listTensor(path, name, value);
  };
  return assembleBatches(path, take, held);
}

function safetensorsBatches(path: string): ReadyBatches {
  const file = openSafetensors(path);
  const take = (name: string): IntTensor | undefined => {
    const info = file.tensors.get(name);
    return info && { shape: info.shape, data: readInts(file, name) };
  };
  return assembleBatches(
    path,
    take,
    [...file.tensors].map(([name, { shape }]) => [name, shape] as const),
  );
}

/** Batches in a safetensors or JSON file: `input_ids`, optional `labels`, `attention_mask` and `position_ids`. */
export function readBatches(path: string): ReadyBatches {
  const json = path.toLowerCase().endsWith('.json');
  return json ? jsonBatches(path, parseJsonObject(path, readText(path, 2 ** 30))) : safetensorsBatches(path);
}

/** Whether a data file holds records, by its ending. */
export const holdsRecords = (path: string): boolean => /\.(jsonl|ndjson)$/i.test(path);

/** Opens a data file by its ending: .jsonl and .ndjson are records, .safetensors and .json batches, everything else is text. */
export function openDataset(path: string, names: FieldNames = {}): Dataset {
  const lower = path.toLowerCase();
  if (holdsRecords(path)) return { kind: 'records', path, records: () => readRecords(path, names) };
  if (/\.(safetensors|json)$/.test(lower)) return { kind: 'batches', path, batches: readBatches(path) };
  const text = readText(path, 2 ** 29)
    .replace(/^\ufeff/, '')
    .replaceAll('\r\n', '\n');
  if (text.trim() === '') throw new EbbError(`${path}: holds no text to learn`);
  return { kind: 'text', path, text };
}

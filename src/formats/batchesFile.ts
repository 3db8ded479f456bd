/** @file Ready batches of token ids in a file: safetensors, or JSON. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { readText } from './files.ts';
import { type Json, type JsonObject, parseJsonObject } from './json.ts';
import { assembleBatches, type IntTensor, type ReadyBatches } from './readyBatches.ts';
import { openSafetensors, readInts } from './safetensors.ts';

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

/** @file Sharded safetensors: model.safetensors.index.json, whose weight_map says which shard holds which tensor. */

import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { fileExists, readText } from './files.ts';
import { isObject, parseJsonObject } from './json.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

/** Where each tensor is: the file that holds it. */
export type TensorFiles = ReadonlyMap<string, SafetensorsFile>;

function checkShardName(where: string, tensor: string, shard: unknown): string {
  const plain = typeof shard === 'string' && /^[^/\\\0]+\.safetensors$/.test(shard) && !shard.startsWith('..');
  if (!plain) throw new EbbError(`${where}: weight_map.${tensor} is ${show(shard)}, expected the name of a .safetensors file in the same folder`);
  return shard;
}

/** Opens every shard an index names; a shard outside the folder, a missing shard, and a tensor its shard lacks are refused. */
export function openIndex(path: string): TensorFiles {
  const map = parseJsonObject(path, readText(path))['weight_map'];
  if (!isObject(map) || Object.keys(map).length === 0) {
    throw new EbbError(`${path}: weight_map is ${show(map)}, expected an object of tensor names and the files that hold them`);
  }
  const shards = new Map<string, SafetensorsFile>();
  const result = new Map<string, SafetensorsFile>();
  const names = Object.entries(map).map(([tensor, shard]) => [tensor, checkShardName(path, tensor, shard)] as const);
  const missing = [...new Set(names.map(([, shard]) => shard))].filter((shard) => !fileExists(join(dirname(path), shard)));
  if (missing.length > 0) {
    throw new EbbError(
      `${path}: names ${missing.slice(0, 3).map(show).join(', ')}${missing.length > 3 ? ` and ${missing.length - 3} more` : ''}, expected in the same folder but not there`,
    );
  }
  for (const [tensor, shard] of names) {
    const file = shards.get(shard) ?? openSafetensors(join(dirname(path), shard));
    shards.set(shard, file);
    if (!file.tensors.has(tensor)) throw new EbbError(`${path}: weight_map puts ${show(tensor)} into ${show(shard)}, which has no such tensor`);
    result.set(tensor, file);
  }
  return result;
}

/** All tensors of one safetensors file. */
export function openSingle(path: string): TensorFiles {
  const file = openSafetensors(path);
  return new Map([...file.tensors.keys()].map((name) => [name, file]));
}

/** @file Sharded safetensors: model.safetensors.index.json, whose weight_map says which shard holds which tensor. */

import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { fileExists, readText } from './files.ts';
import { isObject, parseJsonObject } from './json.ts';
import { openSafetensorsHeader, type SafetensorsFile } from './safetensors.ts';

/** Shards as far as they are there. */
export interface Shards {
  /** Tensors, and the file that holds each. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;
  /** Tensors whose shard is not there, and what it is called. */
  readonly absent: ReadonlyMap<string, string>;
}

function checkShardName(where: string, tensor: string, shard: unknown): string {
  const plain = typeof shard === 'string' && /^[^/\\\0]+\.safetensors$/.test(shard) && !shard.startsWith('..');
  if (!plain) throw new EbbError(`${where}: weight_map.${tensor} is ${show(shard)}, expected the name of a .safetensors file in the same folder`);
  return shard;
}

/** What an index names, each tensor with its shard. @throws EbbError for a shard outside the folder */
function readIndex(path: string): (readonly [tensor: string, shard: string])[] {
  const map = parseJsonObject(path, readText(path))['weight_map'];
  if (!isObject(map) || Object.keys(map).length === 0) {
    throw new EbbError(`${path}: weight_map is ${show(map)}, expected an object of tensor names and the files that hold them`);
  }
  return Object.entries(map).map(([tensor, shard]) => [tensor, checkShardName(path, tensor, shard)] as const);
}

/** The first few of the shards that an index names and that are not there. */
export function shardsText(shards: Iterable<string>): string {
  const missing = [...new Set(shards)];
  return `${missing.slice(0, 3).map(show).join(', ')}${missing.length > 3 ? ` and ${missing.length - 3} more` : ''}`;
}

/**
 * Opens the headers of the shards that an index names and that are there; their data may be missing.
 * @throws EbbError for a shard outside the folder, and for a tensor its shard lacks
 */
export function openIndex(path: string): Shards {
  const shards = new Map<string, SafetensorsFile | null>();
  const opened = (shard: string): SafetensorsFile | null => {
    const file = join(dirname(path), shard);
    const known = shards.get(shard);
    const found = known === undefined ? (fileExists(file) ? openSafetensorsHeader(file) : null) : known;
    shards.set(shard, found);
    return found;
  };
  const files = new Map<string, SafetensorsFile>();
  const absent = new Map<string, string>();
  for (const [tensor, shard] of readIndex(path)) {
    const file = opened(shard);
    if (file && !file.tensors.has(tensor)) throw new EbbError(`${path}: weight_map puts ${show(tensor)} into ${show(shard)}, which has no such tensor`);
    if (file) files.set(tensor, file);
    else absent.set(tensor, shard);
  }
  return { files, absent };
}

/** All tensors of one safetensors file, whose data may be missing. */
export function openSingle(path: string): Shards {
  const file = openSafetensorsHeader(path);
  return { files: new Map([...file.tensors.keys()].map((name) => [name, file])), absent: new Map() };
}

/** @file The tokens at which an answer ends: everything that any of a checkpoint's files calls an end. */

import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { fileExists, readText } from '../formats/files.ts';
import { parseJsonObject } from '../formats/json.ts';
import type { Checkpoint } from '../models/checkpoint.ts';
import { closingToken } from '../tokenizer/chat.ts';
import type { Tokenizer } from '../tokenizer/open.ts';

/** The ends that generation_config.json names. @throws EbbError for ends that are no ids */
function generationEnds({ kind, path }: Pick<Checkpoint, 'kind' | 'path'>): readonly number[] {
  const file = join(path, 'generation_config.json');
  if (kind !== 'hf' || !fileExists(file)) return [];
  const { eos_token_id: ends = null } = parseJsonObject(file, readText(file));
  const ids = ends === null ? [] : Array.isArray(ends) ? ends : [ends];
  const wrong = ids.find((id) => !Number.isInteger(id));
  if (wrong !== undefined) throw new EbbError(`${file}: eos_token_id holds ${JSON.stringify(wrong)}, expected ids of tokens`, 'file');
  return ids.map(Number);
}

/** The tokens that end an answer: those of config.json, generation_config.json and the tokenizer, and the control token that closes a turn. */
export async function stopTokens(checkpoint: Pick<Checkpoint, 'kind' | 'path' | 'config'>, tokenizer: Tokenizer): Promise<readonly number[]> {
  const { endTokenIds, templates } = tokenizer;
  const closing = templates.names.length > 0 ? await closingToken(tokenizer) : null;
  return [...new Set([...checkpoint.config.eosTokenIds, ...generationEnds(checkpoint), ...endTokenIds, ...(closing === null ? [] : [closing])])];
}

/** @file Tokenises data, or finds what was tokenised before; where its tokens then lie. The long part of opening data: prepare.ts runs it in a worker. */

import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type LocatedData, locateData } from '../data/locate.ts';
import { EbbError, invariant } from '../errors.ts';
import { fileError } from '../formats/files.ts';
import type { Sequence } from '../train/batches.ts';
import type { Watch } from './progress.ts';
import { whileReading } from './readProgress.ts';
import { type SequenceRequest, type Tokenised, tokenise } from './sequences.ts';
import { prepareCache, readIndex, type TokenPlace, tokenPlace, writeIndex } from './tokenCache.ts';
import { tokenWriter } from './tokenFile.ts';

/** Tokenised data, and where its tokens lie: in a file of the cache, or in memory. */
export interface KeptTokens extends Tokenised {
  readonly held: { readonly file: string } | { readonly sequences: readonly Sequence[] };
}

/** Tokenises into a file of the cache. @throws where that cannot be written, besides what `tokenise` throws */
async function intoCache(request: SequenceRequest, data: LocatedData, place: TokenPlace): Promise<KeptTokens> {
  const aside = `${place.tokens}.${process.pid}.${randomUUID()}.partial`;
  const writer = tokenWriter(aside);
  let made: Tokenised;
  try {
    made = await tokenise(request, data, writer.add);
    writer.close();
    renameSync(aside, place.tokens);
  } catch (error) {
    writer.abandon();
    rmSync(aside, { force: true });
    throw error;
  }
  await writeIndex(place, made);
  return { ...made, held: { file: place.tokens } };
}

/** Tokenises into memory. */
async function intoMemory(request: SequenceRequest, data: LocatedData): Promise<KeptTokens> {
  const sequences: Sequence[] = [];
  const made = await tokenise(request, data, (sequence) => sequences.push(sequence));
  return { ...made, held: { sequences } };
}

/** Whether the cache cannot be written: what is wrong with data is an EbbError. */
const isOfCache = (error: unknown): boolean => typeof error === 'object' && error !== null && !(error instanceof EbbError) && 'code' in error;

/** What a person should know besides what the tokens were made of. */
const withNotes = (kept: KeptTokens, notes: readonly string[]): KeptTokens => ({
  ...kept,
  report: { ...kept.report, notes: [...kept.report.notes, ...notes] },
});

/** @throws EbbError as `tokenise`, and for data that is not tokenised */
export async function keptTokens(request: SequenceRequest, watch: Watch = {}): Promise<KeptTokens> {
  const { path } = request;
  const data = locateData(path);
  invariant(data.kind === 'records' || data.kind === 'text', `${path} holds ${data.kind}`);
  // which files were found is of the path, and not of what they hold
  return withNotes(await found(request, data, watch), data.notes);
}

/** Finds what was tokenised before, or tokenises. */
async function found(request: SequenceRequest, data: LocatedData, watch: Watch): Promise<KeptTokens> {
  const place = await tokenPlace(data, request, watch);
  const tokenising = (into: (data: LocatedData) => Promise<KeptTokens>): Promise<KeptTokens> => whileReading(watch, 'tokenising', data, into);
  if (!place) return tokenising((read) => intoMemory(request, read));
  const kept = await readIndex(place, request.path);
  if (kept) return { ...kept, held: { file: place.tokens } };
  try {
    prepareCache();
    return await tokenising((read) => intoCache(request, read, place));
  } catch (error) {
    if (!isOfCache(error)) throw error;
    return withNotes(await tokenising((read) => intoMemory(request, read)), [
      `tokens are not kept for the next start: ${fileError(dirname(place.tokens), error).message}`,
    ]);
  }
}

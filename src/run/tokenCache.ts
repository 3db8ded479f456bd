/**
 * @file Tokens of data, kept in the user's cache under what they were made of: a second start tokenises nothing, and data of any size takes little
 * memory. What cannot be kept is held in memory.
 */

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import type { LocatedData } from '../data/locate.ts';
import { pathKind } from '../formats/files.ts';
import { openSafetensors, readInts, writeSafetensors } from '../formats/safetensors.ts';
import { cacheFolder } from '../node/swiftshader.ts';
import { type DataReport, LEFT_OUT_REASONS, type LeftOutReason } from './dataReport.ts';
import type { Watch } from './progress.ts';
import { whileReading } from './readProgress.ts';
import type { SequenceRequest, Tokenised } from './sequences.ts';
import { tokenBytes } from './tokenFile.ts';

/** What tokens are made of, and where they are kept. */
export interface TokenPlace {
  readonly tokens: string;
  readonly index: string;
}

const folder = (): string => join(cacheFolder(), 'tokens');

/** Most bytes of tokens that are kept; the ones that were not used for longest are taken away. */
const KEPT = 20 * 2 ** 30;

/** Most bytes of a file beside a tokenizer that is read for what it says. */
const SIDE_FILE = 64 * 2 ** 20;

/** The hash of a file. @param onRead is told how many more bytes were read */
async function hashOf(path: string, onRead?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  const stream = createReadStream(path);
  if (onRead) stream.on('data', (piece) => onRead(piece.length));
  await pipeline(stream, hash);
  return hash.digest('hex');
}

/** The files that decide how text is encoded: those of a tokenizer's folder that say something, or one file. */
export function tokenizerFiles(path: string): string[] {
  if (pathKind(path) === 'file') return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((name) => /\.(json|jinja|model|txt)$/.test(name))
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile() && statSync(file).size <= SIDE_FILE);
}

/** Whether what is rendered depends on the day. */
const tellsTime = (files: readonly string[]): boolean => files.some((file) => statSync(file).size <= SIDE_FILE && readFileSync(file).includes('strftime_now'));

/** The files of the program that makes tokens: other ones may make other tokens. In a bundle it is one file. */
function programFiles(): string[] {
  const own = fileURLToPath(import.meta.url);
  // beside a bundle there are folders of other people
  if (!/^tokenCache\.[jt]s$/.test(basename(own))) return [own];
  return ['data', 'formats', 'tokenizer', 'run'].flatMap((room) => {
    const folderOf = join(dirname(own), '..', room);
    const names = readdirSync(folderOf, { recursive: true, encoding: 'utf8' }).sort();
    return names.filter((name) => /\.[jt]s$/.test(name)).map((name) => join(folderOf, name));
  });
}

/** Where the tokens of data are kept; null for what is read once. */
export async function tokenPlace(data: LocatedData, request: SequenceRequest, watch: Watch = {}): Promise<TokenPlace | null> {
  if (data.files.some(({ path }) => path === '-')) return null;
  const { tokenizer, path: _path, chatTemplate, now = new Date(), ...rest } = request;
  const hash = createHash('sha256').update(JSON.stringify(rest));
  const beside = [...tokenizerFiles(tokenizer), ...(chatTemplate !== undefined && existsSync(chatTemplate) ? [chatTemplate] : [])];
  const add = async (file: string, onRead?: (bytes: number) => void): Promise<unknown> => hash.update(`${basename(file)} ${await hashOf(file, onRead)}\n`);
  for (const file of programFiles()) await add(file);
  await whileReading(watch, 'hashing', { ...data, kind: 'records' }, async ({ files }) => {
    for (const { path, onRead } of files) await add(path, onRead);
  });
  for (const file of beside) await add(file);
  hash.update(`${chatTemplate ?? ''} ${tellsTime(beside) ? now.toISOString() : ''}`);
  const name = hash.digest('hex').slice(0, 32);
  return { tokens: join(folder(), `${name}.tokens`), index: join(folder(), `${name}.safetensors`) };
}

/** Makes the folder of the cache. @throws Error of the file system where it cannot be made */
export function prepareCache(): void {
  mkdirSync(folder(), { recursive: true });
}

/** The tensor of an index that lists the records which were left out for a reason. */
const leftOutName = (reason: LeftOutReason): string => `leftOut.${reason}`;

/** Says what lies in a file of tokens, which is whole then. */
export async function writeIndex({ index, tokens }: TokenPlace, { kept, records, report, padId }: Tokenised): Promise<void> {
  const { lengths, cut, leftOut, path: _path, ...rest } = report;
  const list = (name: string, data: Int32Array) => ({ name, dtype: 'I32' as const, shape: [data.length], data });
  const left = leftOut.map(({ reason, records: list }): [string, Int32Array] => [leftOutName(reason), list]);
  const lists = { cut, kept, ...Object.fromEntries(left), lengths, records };
  const tensors = Object.entries(lists).map(([name, data]) => list(name, data));
  writeSafetensors(index, tensors, { report: JSON.stringify(rest), padId: String(padId), tokens: await hashOf(tokens) });
  removeOldest(tokens);
}

/** What is kept at a place; null where it is not, or not as it was written. */
export async function readIndex({ index, tokens }: TokenPlace, path: string): Promise<Tokenised | null> {
  if (!existsSync(index) || !existsSync(tokens)) return null;
  try {
    const file = openSafetensors(index);
    const list = (name: string): Int32Array<ArrayBuffer> => Int32Array.from(readInts(file, name));
    const [kept, lengths, records] = [list('kept'), list('lengths'), list('records')];
    const leftOut = LEFT_OUT_REASONS.filter((reason) => file.tensors.has(leftOutName(reason))).map((reason) => ({
      reason,
      records: list(leftOutName(reason)),
    }));
    if (statSync(tokens).size !== tokenBytes(kept)) return null;
    const { report, padId, tokens: hash } = file.metadata as Readonly<Record<string, string>>;
    if (hash !== (await hashOf(tokens))) return null;
    const now = new Date();
    utimesSync(tokens, now, now);
    return {
      kept,
      records,
      padId: Number(padId),
      report: { ...(JSON.parse(report ?? '') as Omit<DataReport, 'lengths' | 'path' | 'cut' | 'leftOut'>), path, lengths, cut: list('cut'), leftOut },
    };
  } catch {
    return null;
  }
}

/** What was half written longer ago than any work takes. */
const STALE_MS = 24 * 3_600_000;

/** Takes away what was not used for longest, until the rest is small enough, and what was left half written. @param own what was just written, which stays */
function removeOldest(own: string): void {
  for (const name of readdirSync(folder())) {
    const path = join(folder(), name);
    if (name.endsWith('.partial') && Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > STALE_MS) rmSync(path, { force: true });
  }
  const files = readdirSync(folder())
    .filter((name) => name.endsWith('.tokens'))
    .map((name) => ({ path: join(folder(), name), ...sizeAndUse(join(folder(), name)) }))
    .sort((a, b) => b.used - a.used);
  let bytes = 0;
  for (const { path, size } of files) {
    bytes += size;
    if (bytes <= KEPT || path === own) continue;
    rmSync(path, { force: true });
    rmSync(path.replace(/\.tokens$/, '.safetensors'), { force: true });
  }
}

function sizeAndUse(path: string): { readonly size: number; readonly used: number } {
  const { size, mtimeMs } = statSync(path);
  return { size, used: mtimeMs };
}

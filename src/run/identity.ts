/**
 * @file What a run depends on, by content: identity.json in its folder holds hashes, and a run goes on only where they are the same, whatever the files are
 * called by now.
 */

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { EbbError, option } from '../errors.ts';
import { pathKind, readText } from '../formats/files.ts';
import { hashFiles } from '../formats/hashFiles.ts';
import { parseJson } from '../formats/json.ts';
import { parseBy } from '../issues.ts';

/** The file of a run's identity in its folder. */
export const IDENTITY = 'identity.json';

/** What a run depends on, and how messages call it. */
const PARTS = {
  model: 'the model',
  data: 'the data',
  evalData: 'the held-out data',
  tokenizer: 'the tokenizer',
  chatTemplate: 'the chat template',
  adapter: 'the adapter that the run began with',
  plan: 'the compiled model',
} as const;
export type Part = keyof typeof PARTS;
export const PART_NAMES: readonly string[] = Object.keys(PARTS);

/** A part: the hash of its contents, and that of each file. */
const part = z.object({ sha256: z.string(), files: z.array(z.object({ name: z.string(), sha256: z.string() })).optional() });
type PartHash = Readonly<z.infer<typeof part>>;

const identity = z.object({
  run: z.string(),
  ebb: z.string(),
  parts: z.record(z.string(), part),
  /** The settings that decide what is trained: config.yaml, which people edit, says how a run is to go on. */
  settings: z.record(z.string(), z.unknown()).optional(),
});

/** Which run it is, which version began it or went on with it last, and what it depends on. */
export type Identity = Readonly<z.infer<typeof identity>>;

/** What a run depends on: files by part, and the text of what was compiled. */
export interface IdentitySources {
  readonly files: Readonly<Partial<Record<Part, readonly string[]>>>;
  readonly plan: string;
}

const hashOfText = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The files of a model: those that weights and its configuration are in. */
export function modelFiles(path: string): readonly string[] {
  if (pathKind(path) === 'file') {
    const [, stem] = /^(.*)-\d{5}-of-\d{5}\.gguf$/i.exec(basename(path)) ?? [];
    if (stem === undefined) return [path];
    // a model in parts is given by its first
    return readdirSync(dirname(path))
      .filter((name) => name.startsWith(`${stem}-`) && /-\d{5}-of-\d{5}\.gguf$/i.test(name))
      .sort()
      .map((name) => join(dirname(path), name));
  }
  return readdirSync(path)
    .filter((name) => name === 'config.json' || name.endsWith('.safetensors') || name.endsWith('.safetensors.index.json'))
    .sort()
    .map((name) => join(path, name));
}

/** Hashes what a run depends on. @throws EbbError for a file that cannot be read */
export async function hashParts({ files, plan }: IdentitySources): Promise<Identity['parts']> {
  const paths = [...new Set(Object.values(files).flat())];
  const hashes = new Map((await hashFiles(paths)).map((hash, i) => [paths[i] ?? '', hash]));
  const hashed = Object.entries(files).flatMap(([name, list]): [string, PartHash][] => {
    if (list.length === 0) return [];
    const each = list.map((path) => ({ name: basename(path), sha256: hashes.get(path) ?? '' }));
    return [[name, { sha256: hashOfText(each.map(({ sha256 }) => sha256).join('\n')), files: each }]];
  });
  return { ...Object.fromEntries(hashed), plan: { sha256: hashOfText(plan) } };
}

/** The identity of the run in a folder; null where it says none, as runs of earlier versions. @throws EbbError for a file that is broken */
export function storedIdentity(folder: string): Identity | null {
  const file = join(folder, IDENTITY);
  if (!existsSync(file)) return null;
  const hint = 'it says what the run depends on; without the file, that is not checked';
  return parseBy(identity, parseJson(file, readText(file)), file, hint);
}

/** The identity of a run that begins. */
export const newIdentity = (ebb: string, parts: Identity['parts']): Identity => ({ run: randomUUID(), ebb, parts });

/** Which files of a part are others. */
function changedFiles(before: PartHash | undefined, now: PartHash | undefined): string {
  if (!before) return 'there was none';
  if (!now) return 'there is none now';
  const known = new Set(before.files?.map(({ sha256 }) => sha256));
  const other = now.files?.filter(({ sha256 }) => !known.has(sha256)).map(({ name }) => name) ?? [];
  const [fewer, more] = [before.files?.length ?? 0, now.files?.length ?? 0];
  if (other.length > 0)
    return `${other.slice(0, 3).join(', ')}${other.length > 3 ? ` and ${other.length - 3} more` : ''} ${other.length > 1 ? 'are' : 'is'} not as it was`;
  return fewer !== more ? `it had ${fewer} files, and has ${more}` : 'it is another one';
}

/** Parts whose change changes nothing that is trained. */
const HARMLESS: readonly string[] = ['evalData'];

/**
 * Compares what a run depends on with what it began with. @param accept parts that may have changed
 * @param say is told what changed and goes on all the same
 * @throws EbbError naming what changed
 */
export function checkIdentity(
  folder: string,
  before: Identity,
  now: Pick<Identity, 'ebb' | 'parts'>,
  accept: readonly string[],
  say: (text: string) => void,
): void {
  const names = [...new Set([...Object.keys(before.parts), ...Object.keys(now.parts)])];
  const changed = names.filter((name) => before.parts[name]?.sha256 !== now.parts[name]?.sha256);
  for (const name of accept) if (!changed.includes(name)) say(`${option('accept')} names ${name}, which is what the run began with`);
  for (const name of changed) {
    const what = PARTS[name as Part] ?? name;
    const how = changedFiles(before.parts[name], now.parts[name]);
    if (name === 'plan' && before.ebb !== now.ebb)
      say(`${what} is made by Ebb ${now.ebb} now, and was by ${before.ebb}: steps may differ in their last digits`);
    else if (HARMLESS.includes(name)) say(`${what} is not that of before (${how}): held-out losses from here on are of other data`);
    else if (accept.includes(name)) say(`${what} is not what the run began with (${how}), as ${option('accept')} allows`);
    else
      throw new EbbError(
        `${folder}: ${what} is not what the run began with: ${how}; give it as it was, start another run (${option('out')}), or go on with it as it is (${option('accept')} ${name})`,
        'run',
      );
  }
}

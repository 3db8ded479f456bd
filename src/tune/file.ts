/** @file Where measured schedules are kept: a file for each adapter in the user's cache, and one in every run that used some. Node only. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EbbError } from '../errors.ts';
import { cacheFolder } from '../node/swiftshader.ts';
import { bookSchema, emptyBook, GENERATOR, type ScheduleBook, type Surroundings, sameSurroundings } from './book.ts';

/** Whether measured schedules are used at all: EBB_TUNE=off leaves every kernel as its device's kind starts. */
export function tuningAllowed(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['EBB_TUNE'] !== 'off';
}

/** What timings on this device depend on. */
export function surroundingsOf({ name, features }: { readonly name: string; readonly features: readonly string[] }): Surroundings {
  const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
  return { adapter: name, features: [...features].sort(), dawn: version, generator: GENERATOR };
}

/** The cache file of an adapter. */
export function bookFile({ adapter }: Surroundings): string {
  return join(cacheFolder(), 'schedules', `${adapter.toLowerCase().replace(/[^a-z0-9.]+/g, '-')}.json`);
}

/** Reads a book. @throws EbbError naming the file and what is wrong in it */
export function readBook(file: string): ScheduleBook {
  const found = bookSchema.safeParse(parsed(file));
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  throw new EbbError(`${file}: ${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'is wrong'}; remove it, and schedules are measured again`);
}

function parsed(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new EbbError(
      `${file}: cannot be read as JSON (${error instanceof Error ? error.message : String(error)}); remove it, and schedules are measured again`,
    );
  }
}

/** What is known in these surroundings; nothing where the file is missing, or was measured in others. @throws EbbError for a broken file */
export function openBook(where: Surroundings, file = bookFile(where)): ScheduleBook {
  if (!existsSync(file)) return emptyBook(where);
  const book = readBook(file);
  return sameSurroundings(book.surroundings, where) ? book : emptyBook(where);
}

/** Written aside and renamed; entries that another process added meanwhile stay. */
export function saveBook(book: ScheduleBook, file = bookFile(book.surroundings)): void {
  const { entries } = openBook(book.surroundings, file);
  mkdirSync(dirname(file), { recursive: true });
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, bookText({ ...book, entries: { ...entries, ...book.entries } }));
  renameSync(aside, file);
}

/** The file's text. */
export function bookText(book: ScheduleBook): string {
  return `${JSON.stringify(book, null, 1)}\n`;
}

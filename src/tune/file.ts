/** @file Where measured schedules are kept: in a file for each adapter in the user's cache, and in one of every run that used some. For Node alone. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { cacheFolder } from '../node/swiftshader.ts';
import { BOOK_SCHEMAS, BOOK_VERSION, emptyBook, GENERATOR, type ScheduleBook, type Surroundings, sameSurroundings } from './book.ts';

/**
 * Whether measured schedules are used at all. With EBB_TUNE=off every kernel has the schedule that devices of its kind start with.
 * @throws EbbError for another value of EBB_TUNE
 */
export function tuningAllowed(env: Readonly<Record<string, string | undefined>> = process.env): boolean {
  const { EBB_TUNE: wish = '' } = env;
  if (!['', 'on', 'off'].includes(wish)) throw new EbbError(`EBB_TUNE is ${JSON.stringify(wish)}, expected on or off`);
  return wish !== 'off';
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
  return checked(file, parsed(file));
}

/** Most characters of a value that an error shows. */
const SHOWN = 120;

/** What books of every version say of where they were measured. */
const origin = z.object({
  format: z.literal('ebb-schedules'),
  surroundings: z.object({ adapter: z.string(), dawn: z.string(), generator: z.int() }),
});

function checked(file: string, book: unknown): ScheduleBook {
  const version = z.object({ version: z.unknown() }).safeParse(book).data?.version;
  const schema = BOOK_SCHEMAS.get(version);
  if (!schema)
    throw new EbbError(
      `${file}: version: is ${JSON.stringify(version)}, this Ebb reads ${BOOK_VERSION} and books that say none; remove it, and schedules are measured again`,
    );
  const found = schema.safeParse(book);
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  const value = issue?.path.reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined), book);
  const shown = issue?.code === 'invalid_union' ? `, found ${JSON.stringify(value)?.slice(0, SHOWN)}` : '';
  const generator = origin.safeParse(book).data?.surroundings.generator ?? GENERATOR;
  const older = generator === GENERATOR ? '' : ` (it was measured with version ${generator} of the kernel generator, this Ebb has ${GENERATOR})`;
  throw new EbbError(
    `${file}: ${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'is wrong'}${shown}${older}; remove it, and schedules are measured again`,
  );
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

/** The book that was measured in these surroundings; an empty one where there is no file, or it was measured in others. @throws EbbError for a broken file */
export function openBook(where: Surroundings, file = bookFile(where)): ScheduleBook {
  if (!existsSync(file)) return emptyBook(where);
  const kept = parsed(file);
  // What was measured elsewhere or with another generator is of no use, whatever form the rest of it has.
  const found = origin.safeParse(kept).data?.surroundings;
  if (found && (['adapter', 'dawn', 'generator'] as const).some((key) => found[key] !== where[key])) return emptyBook(where);
  const book = checked(file, kept);
  return sameSurroundings(book.surroundings, where) ? book : emptyBook(where);
}

/** Writes a book to a file aside, which then takes the file's name. Entries that another process added meanwhile stay. */
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

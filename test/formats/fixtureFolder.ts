/** @file Where the golden fixtures lie; tests iterate over what they find there, and say loudly when there is nothing. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The set that lies beside the checkout. */
export const SHARED_FIXTURES = join(__dirname, '../../../shared/fixtures');
export const FIXTURES = process.env['EBB_FIXTURES'] ?? SHARED_FIXTURES;

/** Declares tests over the fixtures under `part`; without them one skipped test says so, and where EBB_FIXTURES names the folder it fails. */
export function withFixtures(part: string, declare: (folder: string) => void): void {
  const folder = join(FIXTURES, part);
  if (existsSync(folder)) {
    describe(`fixtures: ${part}`, () => declare(folder));
    return;
  }
  if (process.env['EBB_FIXTURES'] !== undefined) throw new Error(`EBB_FIXTURES: ${folder} does not exist`);
  console.warn(`\n*** FIXTURES ARE ABSENT: ${folder} does not exist; set EBB_FIXTURES to the folder that holds ${part}/ ***\n`);
  test.skip(`fixtures ${part} (set EBB_FIXTURES)`, () => {});
}

export function subfolders(folder: string): string[] {
  return readdirSync(folder).filter((name) => statSync(join(folder, name)).isDirectory());
}

// biome-ignore lint/suspicious/noExplicitAny: golden JSON of many shapes, in tests only
export function readJson(path: string): any {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** The message of an error that a person can read: an EbbError of one line, or of a line and an indented list. Others are thrown. */
function readable(error: unknown): string {
  if (!(error instanceof Error) || error.name !== 'EbbError') throw error;
  expect(error.message).not.toMatch(/\n(?! {2}\S)/);
  return error.message;
}

/** The message of the error `f` throws, which must be one a person can read. */
export function messageOf(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return readable(error);
  }
  throw new Error('expected an EbbError, nothing was thrown');
}

/** The message of the error a promise is rejected with, which must be one a person can read. */
export async function rejectionOf(promise: Promise<unknown>): Promise<string> {
  const outcome = await promise.then(
    () => null,
    (error: unknown) => ({ error }),
  );
  if (outcome) return readable(outcome.error);
  throw new Error('expected an EbbError, the promise was kept');
}

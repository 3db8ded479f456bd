/** @file How far the reading of data is, told in bytes of its files. */

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import type { DataFile } from '../data/fileKinds.ts';
import type { LocatedData } from '../data/locate.ts';
import { during, pieces, type Watch } from './progress.ts';

/** What data is called beside how far it is: the last part of its path. */
const nameOf = (path: string): string => (path === '-' ? 'standard input' : basename(path));

/** Bytes of files; null where one of them is a stream, whose length nobody knows. */
export function bytesOfFiles(files: readonly Pick<DataFile, 'path'>[]): number | null {
  return files.some(({ path }) => path === '-') ? null : files.reduce((sum, { path }) => sum + statSync(path).size, 0);
}

/**
 * Does work over data, and tells how many bytes of its files were read. Texts are encoded as a whole, and streams end when they end: of these it is
 * told that they are being read. @param what such as `tokenising`
 */
export async function whileReading<T>(watch: Watch, what: string, data: LocatedData, work: (data: LocatedData) => Promise<T>): Promise<T> {
  const name = `${what} ${nameOf(data.path)}`;
  const total = bytesOfFiles(data.files);
  if (data.kind === 'text' || total === null || total === 0) return during(watch, name, () => work(data));
  const tell = pieces(watch, name, 'bytes');
  let done = 0;
  const onRead = (bytes: number): void => {
    done += bytes;
    // what is read may still have to be used, and the end is told once
    tell(Math.min(done, total - 1), total);
  };
  tell(0, total);
  try {
    return await work({ ...data, files: data.files.map((file) => ({ ...file, onRead })) });
  } finally {
    tell(total, total);
  }
}

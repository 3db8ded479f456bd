/** @file Keeps Dawn's two harmless "artificially reduced" warnings, written to file descriptor 2 by native code, from users. */

import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HARMLESS = /^Warning: max\w+ artificially reduced .*\n?/gm;

interface Descriptors {
  dup(fd: number): number;
  dup2(from: number, to: number): number;
}

/** Returns the C library's functions for file descriptors, or null where they cannot be called. */
function libc(): Descriptors | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as { load(path: string): { func(declaration: string): (...args: number[]) => number } };
    const library = koffi.load(process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6');
    return { dup: library.func('int dup(int)') as Descriptors['dup'], dup2: library.func('int dup2(int, int)') as Descriptors['dup2'] };
  } catch {
    return null;
  }
}

/** Runs `work`. Whatever it wrote to stderr comes out afterwards, without those warnings. */
export async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const fds = process.platform === 'win32' ? null : libc();
  if (!fds) return work();
  const path = join(tmpdir(), `ebb-stderr-${process.pid}-${Math.floor(performance.now() * 1000)}`);
  const file = openSync(path, 'w+');
  const saved = fds.dup(2);
  fds.dup2(file, 2);
  try {
    return await work();
  } finally {
    fds.dup2(saved, 2);
    closeSync(saved);
    closeSync(file);
    const rest = readFileSync(path, 'utf8').replace(HARMLESS, '');
    rmSync(path, { force: true });
    if (rest !== '') writeSync(2, rest);
  }
}

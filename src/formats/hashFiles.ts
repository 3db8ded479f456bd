/** @file Hashes of files. Large ones are read on a thread of its own, so that the one that waits can do other work. */

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { fileError } from './files.ts';

/** Bytes that are read at once. */
const PIECE = 4 * 2 ** 20;
/** Files that are smaller, all together, are hashed at once: a thread takes longer to start. */
const SMALL = 32 * 2 ** 20;

function hashNow(path: string): string {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  try {
    const piece = new Uint8Array(PIECE);
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) hash.update(piece.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

/** The program of the thread. It is a text, so that it runs wherever this module has been built into. */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { openSync, readSync, closeSync } = require('node:fs');
const piece = new Uint8Array(${PIECE});
for (const path of workerData) {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) hash.update(piece.subarray(0, read));
  closeSync(file);
  parentPort.postMessage(hash.digest('hex'));
}`;

function hashAside(paths: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const hashes: string[] = [];
    const worker = new Worker(PROGRAM, { eval: true, workerData: paths });
    worker.on('message', (hash: string) => hashes.push(hash));
    worker.on('error', (error) => reject(fileError(paths[hashes.length] ?? '', error)));
    worker.on('exit', () => (hashes.length === paths.length ? resolve(hashes) : reject(new Error('the thread that hashes files has ended'))));
  });
}

/** The SHA-256 of each file, as hexadecimal text. @throws EbbError for a file that cannot be read */
export async function hashFiles(paths: readonly string[]): Promise<string[]> {
  let reading = '';
  try {
    const sizes = paths.map((path) => {
      reading = path;
      return statSync(path).size;
    });
    if (sizes.reduce((sum, size) => sum + size, 0) > SMALL) return await hashAside(paths);
    return paths.map((path) => {
      reading = path;
      return hashNow(path);
    });
  } catch (error) {
    throw fileError(reading, error);
  }
}

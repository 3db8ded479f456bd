/** @file A file that grows while a run goes on. What cannot be written is kept and written with what comes next: a full disk does not end a run. */

import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { fileError } from '../formats/files.ts';

/** A file that is added to. */
export interface GrowingFile {
  /** Adds a piece, and what was kept before it. A piece is written as a whole or not at all. */
  append(piece: Uint8Array): void;
  /** Tries a last time to write what was kept, and says once what could not be. */
  end(): void;
}

/** Writes a piece at the end of an open file, as a whole or not at all. */
function writeWhole(file: number, piece: Uint8Array): void {
  const { size } = fstatSync(file);
  try {
    for (let done = 0; done < piece.length; ) done += writeSync(file, piece, done);
  } catch (error) {
    // half a piece would make the next one unreadable; a device, which cannot be cut, holds none
    if (fstatSync(file).size > size) ftruncateSync(file, size);
    throw error;
  }
}

/** Writes pieces at the end of a file, and takes those that are written out of the list. */
function writePieces(path: string, pieces: Uint8Array[]): void {
  const file = openSync(path, 'a');
  let written = 0;
  try {
    for (const piece of pieces) {
      writeWhole(file, piece);
      written++;
    }
  } finally {
    pieces.splice(0, written);
    closeSync(file);
  }
}

/**
 * Opens a file that grows. It is made where there is none when the first piece is written.
 * @param what a piece is called, in the plural, such as `lines`
 * @param say is told when pieces begin to be kept, when they are written after all, and at the end how many never were
 */
export function growingFile(path: string, what: string, say: (text: string) => void): GrowingFile {
  const kept: Uint8Array[] = [];
  let failing = false;
  const write = (): void => {
    try {
      writePieces(path, kept);
    } catch (error) {
      if (!failing) say(`${fileError(path, error).message}; the run goes on, and keeps its ${what} until they can be written`);
      failing = true;
      return;
    }
    if (failing) say(`${path}: can be written again, and holds the ${what} that were kept`);
    failing = false;
  };
  return {
    append(piece) {
      kept.push(piece);
      write();
    },
    end() {
      if (kept.length > 0) write();
      if (kept.length > 0) say(`${path}: ${kept.length} ${what} of the run could not be written, and are lost`);
      kept.length = 0;
    },
  };
}

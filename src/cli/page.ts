/** @file Writes an HTML page to a file. */

import { writeFileSync } from 'node:fs';
import { fileError } from '../formats/files.ts';

/** Writes a page, and returns its size in bytes. @throws EbbError naming the file where it cannot be written */
export function writePage(file: string, html: string): number {
  try {
    writeFileSync(file, html);
  } catch (error) {
    throw fileError(file, error);
  }
  return Buffer.byteLength(html);
}

/** @file Writing a page where a person wants it. */

import { writeFileSync } from 'node:fs';
import { fileError } from '../formats/files.ts';

/** Returns the bytes written. @throws EbbError naming the file */
export function writeHtml(file: string, html: string): number {
  try {
    writeFileSync(file, html);
  } catch (error) {
    throw fileError(file, error);
  }
  return Buffer.byteLength(html);
}

/** @file Compares two texts of the compiler. */

import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

/** A text with the name under which a diff shows it. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** Writes a unified diff, or one line which says that the texts are the same. */
export function unifiedDiff(a: NamedText, b: NamedText): string {
  if (a.text === b.text) return `${a.name} and ${b.name} are the same\n`;
  return createTwoFilesPatch(a.name, b.name, a.text, b.text, undefined, undefined, { context: 3, headerOptions: FILE_HEADERS_ONLY });
}

/** @file Two texts of the compiler as a unified diff. */

import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

/** One side of a diff. */
export interface Side {
  readonly name: string;
  readonly text: string;
}

/** A unified diff, or one line saying that there is no difference. */
export function unifiedDiff(a: Side, b: Side): string {
  if (a.text === b.text) return `${a.name} and ${b.name} are the same\n`;
  return createTwoFilesPatch(a.name, b.name, a.text, b.text, undefined, undefined, { context: 3, headerOptions: FILE_HEADERS_ONLY });
}

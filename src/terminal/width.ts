/** @file How many columns of a terminal a text takes, and texts cut to columns. */

import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Columns of a terminal that a text takes: ideographs and emoji take two. */
export const columnsOf = (text: string): number => stringWidth(text);

/** A text on one line: characters that move the cursor become a sign. */
export const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\u{fffd}');

/** A text of one line in at most so many columns; what is left out at its end is an ellipsis. */
export function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = '';
  for (const { segment } of graphemes.segment(text)) {
    if (columnsOf(kept + segment) > columns - 1) break;
    kept += segment;
  }
  return columns < 1 ? '' : `${kept}…`;
}

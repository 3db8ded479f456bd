/** @file Markdown tables whose columns are padded, so that they can be read in a terminal too. */

import { at } from '../src/errors.ts';

/** Writes a table. The first column is aligned to the left, the others to the right. Every row has a cell for each column. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(3, title.length, ...rows.map((row) => at(row, i).length)));
  const line = (cells: readonly string[]): string => `| ${widths.map((width, i) => pad(at(cells, i), width, i)).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? `${'-'.repeat(width + 2)}` : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** Writes a number for a table, with its thousands apart and `digits` digits after the point. A dash stands for no number. */
export function shown(value: number | undefined, digits = 0): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Writes milliseconds, with one digit after the point below 100. */
export const shownMs = (ms: number): string => shown(ms, ms < 100 ? 1 : 0);

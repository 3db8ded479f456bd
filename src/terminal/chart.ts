/** @file A chart of text: a line in Braille dots, eight to a character. Chart packages draw with box characters, one value to a row, in which a loss is a staircase. */

import { at } from '../errors.ts';

export type ChartPoint = readonly [x: number, y: number];

/** What is drawn, and how large. */
export interface Chart {
  /** By rising x. */
  readonly line: readonly ChartPoint[];
  /** Single points over the line, each an `o`. */
  readonly marks: readonly ChartPoint[];
  /** Columns and rows of the terminal, with axes. */
  readonly columns: number;
  readonly rows: number;
}

/** The bits of a Braille character, by row and column of its dots. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const BLANK = 0x2800;

const label = (value: number): string => (Math.abs(value) >= 1000 ? value.toExponential(1) : value.toPrecision(3));

type Span = readonly [low: number, high: number];
const around = (span: Span | null, ...values: readonly number[]): Span => [Math.min(...(span ?? []), ...values), Math.max(...(span ?? []), ...values)];

/** The rows of dots that a line takes in each column of dots. */
function spans(points: readonly ChartPoint[], columns: number): (Span | null)[] {
  const found: (Span | null)[] = Array.from({ length: columns }, () => null);
  points.forEach(([x, y], i) => {
    const [fromX, fromY] = points[i - 1] ?? [x, y];
    let row = fromY;
    if (x === fromX) found[x] = around(found[x] ?? null, fromY, y);
    // in each column from where the line was in the one before, so that steep lines have no gaps
    for (let column = fromX + 1; column <= x; column++) {
      const next = Math.round(fromY + ((y - fromY) * (column - fromX)) / (x - fromX));
      found[column] = around(found[column] ?? null, row, next);
      row = next;
    }
  });
  return found;
}

/** Draws a chart, as lines of at most so many columns. None where there is nothing to draw. */
export function chart({ line, marks, columns, rows }: Chart): string[] {
  const all = [...line, ...marks].filter(([, y]) => Number.isFinite(y));
  if (all.length < 2) return [];
  const ends = (axis: 0 | 1): readonly [number, number] => {
    const values = all.map((point) => point[axis]);
    const [low, high] = values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const [[left, right], [low, high]] = [ends(0), ends(1)];
  const labels = [high, (high + low) / 2, low].map(label);
  const gutter = Math.max(...labels.map((text) => text.length));
  const [wide, tall] = [columns - gutter - 2, rows - 1];
  const scale = (count: number, from: number, to: number, value: number): number => Math.round(((value - from) / (to - from)) * (count - 1));
  const dot = ([x, y]: ChartPoint): ChartPoint => [scale(2 * wide, left, right, x), 4 * tall - 1 - scale(4 * tall, low, high, y)];
  const cells = Array.from({ length: tall }, () => new Array<number>(wide).fill(0));
  spans(line.filter(([, y]) => Number.isFinite(y)).map(dot), 2 * wide).forEach((span, column) => {
    if (span === null) return;
    for (let row = span[0]; row <= span[1]; row++) {
      const cell = at(cells, row >> 2);
      cell[column >> 1] = at(cell, column >> 1) | at(at(DOTS, row & 3), column & 1);
    }
  });
  const text = cells.map((cell) => cell.map((bits) => (bits === 0 ? ' ' : String.fromCharCode(BLANK + bits))));
  for (const [x, y] of marks.filter(([, y]) => Number.isFinite(y)).map(dot)) at(text, y >> 2)[x >> 1] = 'o';
  const names = new Map([0, Math.floor((tall - 1) / 2), tall - 1].map((row, i) => [row, at(labels, i)]));
  const [first, last] = [String(left), String(right)];
  return [
    ...text.map((row, i) => `${(names.get(i) ?? '').padStart(gutter)} ┤${row.join('')}`.trimEnd()),
    `${' '.repeat(gutter + 2)}${first}${last.padStart(wide - first.length)}`,
  ];
}

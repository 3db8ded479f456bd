/** @file Runs as text: a table. */

import { at } from '../../errors.ts';
import { duration } from '../../run/progress.ts';
import type { RunReport } from '../../session/runs.ts';
import { columnsOf, cut, oneLine } from '../../terminal/width.ts';

export const lossText = (loss: number): string => loss.toFixed(4);
export const stepsText = ({ steps: { done, of } }: RunReport): string => (of === null ? `${done}` : `${done}/${of}`);

/** A model in a few words: a hub id as it is, a path by its last two parts, as the last one is often `model`. */
export const modelText = (model: string): string => (model === '' ? 'a trainer' : oneLine(model.split(/[\\/]/).slice(-2).join('/')));

/** Which results a run holds, and of which steps. */
const keptText = ({ kept }: RunReport): string =>
  Object.entries(kept)
    .flatMap(([name, step]) => (step === null ? [] : [`${name}/ @${step}`]))
    .join(' ');

interface Column {
  readonly head: string;
  readonly isNumber: boolean;
  readonly of: (run: RunReport) => string;
}
const word = (head: string, of: Column['of']): Column => ({ head, isNumber: false, of });
const number = (head: string, of: Column['of']): Column => ({ head, isNumber: true, of });

/** The columns that are compared. */
const COMPARED: readonly Column[] = [
  word('run', ({ folder }) => oneLine(folder)),
  word('state', ({ state }) => state),
  number('steps', stepsText),
  number('best held-out', ({ heldOut }) => (heldOut?.best ? `${lossText(heldOut.best.loss)} @${heldOut.best.step}` : '')),
  number('last', ({ heldOut }) => (heldOut ? lossText(heldOut.last.loss) : '')),
  number('loss', ({ latest }) => (latest ? lossText(latest.loss) : '')),
  number('time', ({ seconds }) => duration(1000 * seconds)),
  number('tok/s', ({ tokensPerSecond }) => tokensPerSecond?.toFixed(0) ?? ''),
];
/** What a run is, which may be long. */
const WHAT: readonly Column[] = [word('model', ({ model }) => modelText(model)), word('drop plan', ({ drop }) => oneLine(drop)), word('holds', keptText)];
export const GAP = '  ';

const padded = (text: string, columns: number, isNumber: boolean): string => {
  const room = ' '.repeat(Math.max(0, columns - columnsOf(text)));
  return isNumber ? room + text : text + room;
};

/** A line for the heads and one for each run. */
function table(runs: readonly RunReport[], columns: readonly Column[]): string[] {
  const filled = columns.map(({ head, isNumber, of }) => {
    const cells = [head, ...runs.map(of)];
    const width = Math.max(...cells.map(columnsOf));
    return cells.map((cell) => padded(cell, width, isNumber));
  });
  return [null, ...runs].map((_, row) =>
    filled
      .map((cells) => at(cells, row))
      .join(GAP)
      .trimEnd(),
  );
}

/** A folder in at most so many columns: its end tells runs apart. */
function cutFolder(folder: string, columns: number): string {
  if (columnsOf(folder) <= columns) return folder;
  const kept = [...folder];
  while (kept.length > 0 && columnsOf(kept.join('')) > columns - 1) kept.shift();
  return `…${kept.join('')}`;
}

/** Runs in two lines each: what is compared, and below it what each run is. */
function narrow(runs: readonly RunReport[], columns: number): string[] {
  const rest = Math.max(...table(runs, COMPARED.slice(1)).map(columnsOf));
  const room = Math.max(8, columns - GAP.length - rest);
  const [heads = '', ...rows] = table(
    runs.map((run) => ({ ...run, folder: cutFolder(run.folder, room) })),
    COMPARED,
  );
  return [heads, ...runs.flatMap((run, i) => [at(rows, i), `${GAP}${WHAT.map(({ of }) => of(run)).join(' · ')}`])].map((line) => cut(line, columns));
}

/** Runs as a table, of two lines a run where one is wider than the terminal. @param columns infinitely many where there is no terminal */
export function runsText(runs: readonly RunReport[], columns: number): string {
  const lines = table(runs, [...COMPARED, ...WHAT]);
  return (lines.every((line) => columnsOf(line) <= columns) ? lines : narrow(runs, columns)).join('\n');
}

/** @file Runs as text: a table where it fits, or else two lines a run; and a run that is watched. */

import { at } from '../../errors.ts';
import { amount } from '../../inspect/report.ts';
import { smoothed } from '../../run/smoothed.ts';
import type { RunReport, RunView } from '../../session/runs.ts';
import { chart } from '../../terminal/chart.ts';
import { duration } from '../../terminal/duration.ts';
import { columnsOf, cut } from '../../terminal/width.ts';

const lossText = (loss: number): string => loss.toFixed(4);
const stepsText = ({ steps: { done, of } }: RunReport): string => (of === null ? `${done}` : `${done}/${of}`);

/** A model in a few words: a hub id as it is, a path by its last two parts, as the last one is often `model`. */
const modelText = (model: string): string => (model === '' ? 'a trainer' : model.split(/[\\/]/).slice(-2).join('/'));

interface Column {
  readonly head: string;
  readonly isNumber: boolean;
  readonly of: (run: RunReport) => string;
}
const word = (head: string, of: Column['of']): Column => ({ head, isNumber: false, of });
const number = (head: string, of: Column['of']): Column => ({ head, isNumber: true, of });

/** Columns of a drop plan in a table; its kind and its rate come first. */
const MOST_PLAN = 36;

const COLUMNS: readonly Column[] = [
  word('run', ({ folder }) => folder),
  word('state', ({ state }) => state),
  word('model', ({ model }) => modelText(model)),
  word('drop plan', ({ drop }) => cut(drop, MOST_PLAN)),
  number('steps', stepsText),
  number('best held-out', ({ heldOut }) => (heldOut?.best ? `${lossText(heldOut.best.loss)} @${heldOut.best.step}` : '')),
  number('last', ({ heldOut }) => (heldOut ? lossText(heldOut.last.loss) : '')),
  number('loss', ({ latest }) => (latest ? lossText(latest.loss) : '')),
  number('time', ({ seconds }) => duration(seconds)),
  number('tok/s', ({ tokensPerSecond }) => tokensPerSecond?.toFixed(0) ?? ''),
];
const GAP = '  ';

const padded = (text: string, columns: number, isNumber: boolean): string => {
  const room = ' '.repeat(Math.max(0, columns - columnsOf(text)));
  return isNumber ? room + text : text + room;
};

function table(runs: readonly RunReport[]): string[] {
  const columns = COLUMNS.map(({ head, isNumber, of }) => {
    const cells = [head, ...runs.map(of)];
    const width = Math.max(...cells.map(columnsOf));
    return cells.map((cell) => padded(cell, width, isNumber));
  });
  return [null, ...runs].map((_, row) =>
    columns
      .map((cells) => at(cells, row))
      .join(GAP)
      .trimEnd(),
  );
}

/** Two texts at the ends of a line; the first is cut where there is no room for both. */
function apart(left: string, right: string, columns: number): string {
  const kept = cut(left, Math.max(8, columns - columnsOf(right) - GAP.length));
  return `${kept}${' '.repeat(Math.max(GAP.length, columns - columnsOf(kept) - columnsOf(right)))}${right}`;
}

const heldOutText = ({ heldOut }: RunReport): string[] => {
  if (!heldOut) return [];
  const { best, last } = heldOut;
  return [`held-out ${lossText(last.loss)}${best && best.step !== last.step ? ` (best ${lossText(best.loss)} @${best.step})` : ''}`];
};
const speedText = ({ tokensPerSecond }: RunReport): string[] => (tokensPerSecond === null ? [] : [`${tokensPerSecond.toFixed(0)} tok/s`]);

/** A run in two lines of a narrow terminal. */
function block(run: RunReport, columns: number): string[] {
  const facts = [...heldOutText(run), ...(run.latest ? [`loss ${lossText(run.latest.loss)}`] : [])].join(GAP);
  return [
    apart(run.folder, [run.state, `step ${stepsText(run)}`, duration(run.seconds), ...speedText(run)].join(GAP), columns),
    apart(`${GAP}${modelText(run.model)} · ${run.drop}`, facts, columns),
  ];
}

/** Runs as a table, or in blocks of two lines where a table is wider than the terminal. @param columns infinitely many where there is no terminal */
export function runsText(runs: readonly RunReport[], columns: number): string {
  const lines = table(runs);
  return (lines.every((line) => columnsOf(line) <= columns) ? lines : runs.flatMap((run) => block(run, columns))).join('\n');
}

/** A run that has ended, in a line. */
export const endText = (run: RunReport): string =>
  [
    `${run.folder}: ${run.state}`,
    `step ${stepsText(run)}`,
    ...heldOutText(run),
    ...(run.latest ? [`loss ${lossText(run.latest.loss)}`] : []),
    duration(run.seconds),
  ].join(GAP);

/** The last step of a run, in a line of a log. */
export function stepText(run: RunReport): string {
  const { latest } = run;
  if (latest === null) return `${run.folder}: ${run.state}, no step yet`;
  const dropped = latest.dropped === null ? [] : [`backward dropped ${(100 * latest.dropped).toFixed(0)} %`];
  const left = run.secondsLeft === null ? [] : [`eta ${duration(run.secondsLeft)}`];
  return [`step ${stepsText(run)}`, `loss ${lossText(latest.loss)}`, `mean ${lossText(latest.smoothed)}`, ...speedText(run), ...dropped, ...left].join(GAP);
}

function bar({ steps: { done, of } }: RunReport, columns: number): string[] {
  if (of === null) return [];
  const full = Math.round(Math.min(1, done / of) * columns);
  return ['█'.repeat(full) + '░'.repeat(columns - full)];
}

/** Rows of a chart. */
const [LEAST_ROWS, MOST_ROWS] = [4, 16];

/** The screen of a run that is watched, as lines of at most so many columns, and no more than `rows`. */
export function screen(run: RunView, columns: number, rows: number): string[] {
  const { latest } = run;
  const facts = latest
    ? [
        [`loss ${lossText(latest.loss)}`, `mean ${lossText(latest.smoothed)}`, ...heldOutText(run)],
        [
          ...speedText(run),
          ...(latest.dropped === null ? [] : [`dropped ${(100 * latest.dropped).toFixed(0)} %`]),
          ...(latest.lr === null ? [] : [`lr ${latest.lr.toPrecision(3)}`]),
          ...(latest.gradNorm === null ? [] : [`gradient norm ${latest.gradNorm.toPrecision(3)}`]),
          ...(latest.activationBytes === null ? [] : [`activations ${amount(latest.activationBytes, 'B').trim()}`]),
        ],
      ]
    : [['no step yet']];
  const left = run.secondsLeft === null ? '' : `, about ${duration(run.secondsLeft)} left`;
  const head = [
    apart(`${run.curve.name}  ${run.state}`, `${modelText(run.model)} · ${run.drop}`, columns),
    apart(`step ${stepsText(run)}`, `${duration(run.seconds)} of training${left}`, columns),
    ...bar(run, columns),
    ...facts.map((texts) => texts.join(GAP)),
  ].map((line) => cut(line, columns));
  const room = Math.min(MOST_ROWS, rows - head.length - 1);
  if (room < LEAST_ROWS) return head.slice(0, rows);
  const losses = smoothed(run.curve.points.map(({ loss }) => loss));
  const points = run.curve.points.map(({ step }, i) => [step, at(losses, i)] as const);
  const marks = run.curve.heldOut.map(({ step, loss }) => [step, loss] as const);
  const drawn = chart({ line: points, marks, columns, rows: room });
  return drawn.length === 0 ? head : [...head, '', ...drawn];
}

/** @file A run that is watched, as text: a screen that is drawn again, and lines that stay. */

import { at } from '../../errors.ts';
import { amount } from '../../inspect/report.ts';
import { duration } from '../../run/progress.ts';
import { smoothed } from '../../run/smoothed.ts';
import type { RunReport, RunView } from '../../session/runs.ts';
import { chart } from '../../terminal/chart.ts';
import { columnsOf, cut, oneLine } from '../../terminal/width.ts';
import { GAP, lossText, modelText, stepsText } from './runs.ts';

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

/** A run that has ended, in a line. */
export const endText = (run: RunReport): string =>
  [
    `${oneLine(run.folder)}: ${run.state}`,
    `step ${stepsText(run)}`,
    ...heldOutText(run),
    ...(run.latest ? [`loss ${lossText(run.latest.loss)}`] : []),
    duration(1000 * run.seconds),
  ].join(GAP);

/** The last step of a run, in a line of a log. */
export function stepText(run: RunReport): string {
  const { latest } = run;
  if (latest === null) return `${oneLine(run.folder)}: ${run.state}, no step yet`;
  const dropped = latest.dropped === null ? [] : [`backward dropped ${(100 * latest.dropped).toFixed(0)} %`];
  const left = run.secondsLeft === null ? [] : [`eta ${duration(1000 * run.secondsLeft)}`];
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
  const left = run.secondsLeft === null ? '' : `, about ${duration(1000 * run.secondsLeft)} left`;
  const head = [
    apart(`${oneLine(run.curve.name)}  ${run.state}`, `${modelText(run.model)} · ${oneLine(run.drop)}`, columns),
    apart(`step ${stepsText(run)}`, `${duration(1000 * run.seconds)} of training${left}`, columns),
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

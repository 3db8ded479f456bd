/** @file The line of status as text: what is known of work and steps, in as many columns as there are. */

import picocolors from 'picocolors';
import { duration } from '../run/progress.ts';
import { columnsOf, cut, oneLine } from './width.ts';

/** How a run stands. Losses are in nats. */
export interface StepsStatus {
  readonly kind: 'steps';
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  /** The loss without the noise of single batches. */
  readonly smoothed: number;
  /** Tokens, or samples, a second. */
  readonly speed: number;
  readonly counts: 'tokens' | 'samples';
  /** The share of units without a backward, from 0 to 1; null for a model without units. */
  readonly dropped: number | null;
  /** Milliseconds to the last step; null while too few steps were measured. */
  readonly leftMs: number | null;
  /** Milliseconds since the step was done: for so long the next one has been under way. */
  readonly forMs: number;
}

/** How a piece of work stands. */
export interface WorkStatus {
  readonly what: string;
  /** How much of it is done; null where its length is not known. */
  readonly count: { readonly unit: 'bytes' | 'pieces'; readonly done: number; readonly total: number } | null;
  /** Most milliseconds that it still takes; null where it is held to no time. */
  readonly leftMs: number | null;
  /** Milliseconds since it began. */
  readonly forMs: number;
}

/** What a line of status shows: steps, or work that goes on at the same time, the latest first. */
export type Status = StepsStatus | { readonly kind: 'work'; readonly works: readonly WorkStatus[] };

const GAP = '  ';
/** Columns of a bar. */
const [LEAST_BAR, MOST_BAR] = [8, 20];

/** A number with four decimals, or where that is long with four digits. */
const lossText = (loss: number): string => (Math.abs(loss) < 1000 || !Number.isFinite(loss) ? loss.toFixed(4) : loss.toExponential(3));

/** A number in at most 6 columns. */
function speedText(speed: number): string {
  if (!Number.isFinite(speed)) return '-';
  if (speed < 9.95) return speed.toFixed(1);
  if (speed < 1e4) return speed.toFixed(0);
  return speed < 1e6 ? `${(speed / 1e3).toFixed(1)}k` : speed < 1e9 ? `${(speed / 1e6).toFixed(1)}M` : speed.toExponential(0);
}

/** Bytes as whole mebibytes. */
export const mebibytes = (bytes: number): number => Math.ceil(bytes / 2 ** 20);

/** Of a step that takes so long it is said for how long it has been under way. */
const LONG_MS = 2000;

/** The fields of a run's line, from the fullest to the sparsest. The first is where the run stands. */
function stepsLayouts({ step, steps, loss, smoothed, speed, counts, dropped, leftMs, forMs }: StepsStatus): readonly (readonly string[])[] {
  const place = `step ${step}/${steps}${forMs >= LONG_MS ? ` +${duration(forMs)}` : ''}`;
  const ofLoss = `loss ${lossText(loss)}`;
  const mean = `mean ${lossText(smoothed)}`;
  const rate = `${speedText(speed)} ${counts === 'tokens' ? 'tok' : 'samples'}/s`;
  const share = dropped === null ? null : `${(100 * dropped).toFixed(0)} %`;
  const [long, short] = share === null ? [[], []] : [[`dropped ${share}`], [`drop ${share}`]];
  const left = leftMs === null ? [] : [`eta ${duration(leftMs)}`];
  return [
    [place, ofLoss, mean, rate, ...long, ...left],
    [place, ofLoss, mean, rate, ...short, ...left],
    [place, ofLoss, rate, ...short, ...left],
    [place, ofLoss, rate, ...left],
    [place, ofLoss, ...left],
    [place, ofLoss],
    [place],
  ];
}

/** How a line is laid out. */
export interface Layout {
  /** Columns of the terminal; infinitely many for a line in a log, which is as long as it has to be. */
  readonly columns: number;
  /** How the line may have a bar: not at all, plain, or coloured. Lines that stay have none. */
  readonly bar: 'none' | 'plain' | 'coloured';
}

/** A line in a log. */
export const LOG: Layout = { columns: Number.POSITIVE_INFINITY, bar: 'none' };

/** A bar of so many columns. */
function barOf(share: number, columns: number, isColoured: boolean): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * columns);
  const paint = picocolors.createColors(isColoured);
  return paint.cyan('█'.repeat(full)) + paint.dim('░'.repeat(columns - full));
}

/** The fields of a line, with a bar behind the first where there is room for it. */
function joined(fields: readonly string[], share: number | null, { columns, bar }: Layout): string {
  const text = fields.join(GAP);
  const room = Math.min(MOST_BAR, columns - columnsOf(text) - GAP.length);
  if (share === null || bar === 'none' || room < LEAST_BAR) return cut(text, columns);
  return [...fields.slice(0, 1), barOf(share, room, bar === 'coloured'), ...fields.slice(1)].join(GAP);
}

/** How far work is, and how long it takes. */
function amounts({ count, leftMs, forMs }: WorkStatus): readonly string[] {
  const size = count?.unit === 'bytes' ? mebibytes : (n: number): number => n;
  const unit = count?.unit === 'bytes' ? ' MiB' : '';
  return [
    ...(count === null ? [] : [`${size(count.done)}/${size(count.total)}${unit}`]),
    ...(leftMs !== null ? [`at most ${duration(leftMs)} left`] : forMs >= 1000 ? [duration(forMs)] : []),
  ];
}

const shareOf = ({ count }: WorkStatus): number | null => (count === null || count.total <= 0 ? null : count.done / count.total);

function workLine(works: readonly WorkStatus[], layout: Layout): string {
  const { columns } = layout;
  const texts = works.map((work) => [oneLine(work.what), ...amounts(work)]);
  const all = texts.map((fields) => fields.join(', ')).join(' · ');
  if (works.length > 1 && columnsOf(all) <= columns) return all;
  const [[what = '', ...numbers] = []] = texts;
  // a name is cut before the numbers behind it are
  const room = columns - numbers.reduce((sum, text) => sum + columnsOf(text) + GAP.length, 0);
  return joined([cut(what, Math.max(room, 1)), ...numbers], works[0] ? shareOf(works[0]) : null, layout);
}

/** A line of status, no wider than the terminal. */
export function statusLine(status: Status, layout: Layout): string {
  if (status.kind === 'work') return workLine(status.works, layout);
  const layouts = stepsLayouts(status);
  const fields = layouts.find((fields) => columnsOf(fields.join(GAP)) <= layout.columns) ?? layouts.at(-1) ?? [];
  return joined(fields, status.step / status.steps, layout);
}

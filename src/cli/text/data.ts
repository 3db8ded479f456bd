/** @file What `ebb data` prints. */

import picocolors from 'picocolors';
import { type DataReport, histogramOf, reportLines, summaryOf } from '../../run/dataReport.ts';
import type { DataSequence, TextPart } from '../../session/readData.ts';

/** A sequence as a line of JSON. */
export const sequenceLine = (sequence: DataSequence): string => JSON.stringify(sequence);

/** The account as a line of JSON. */
export const summaryLine = (report: DataReport): string => JSON.stringify({ summary: summaryOf(report) });

const BAR = 40;

/** How many sequences are how long. */
function histogramText(report: DataReport): string[] {
  const rows = histogramOf(report);
  const most = Math.max(...rows.map(({ sequences }) => sequences));
  return rows.map(({ upTo, sequences }) => `  ${`≤ ${upTo}`.padStart(9)}  ${'█'.repeat(Math.max(1, Math.round((sequences / most) * BAR)))} ${sequences}`);
}

/** The account for people. */
export function summaryText(report: DataReport): string {
  const histogram = report.lengths.length > 0 ? ['tokens of a sequence, before it is cut:', ...histogramText(report)] : [];
  return [...reportLines(report), ...histogram].join('\n');
}

/** An example with what is learnt of it: in colour, or in brackets where there is none. */
export function exampleText({ records, ids }: DataSequence, parts: readonly TextPart[], isColoured: boolean): string {
  const { dim, green } = picocolors.createColors(isColoured);
  const learntText = (text: string): string => (isColoured ? green(text) : `[[${text}]]`);
  const head = dim(`--- record ${records.join(', ')}: ${ids.length} tokens ---`);
  return `${head}\n${parts.map(({ text, isLearnt }) => (isLearnt ? learntText(text) : text)).join('')}`;
}

/** @file All numbers of the plots as a table. */

import type { Estimate } from '../../dropbp/fidelity/estimate.ts';
import { el } from '../../page/browser/dom.ts';
import type { AnalyzeReport } from '../report.ts';

const MEBI = 2 ** 20;
const shown = ({ mean, error }: Estimate): string => `${mean.toFixed(3)}${error === null ? '' : ` ± ${error.toFixed(3)}`}`;

const HEAD = ['setting', 'ms', 'median', 'by FLOPs', 'MiB', 'planned', 'cosine', 'bias²', 'variance', 'other batches', 'progress a second'];

/** The table of settings. It is folded until the reader opens it. */
export function settingsTable({ settings, none, recommendation }: AnalyzeReport): HTMLElement {
  const numbers = (time: typeof none.time, memory: typeof none.memory): string[] => [
    time.ms.toFixed(1),
    time.medianMs.toFixed(1),
    time.predictedMs.toFixed(1),
    (memory.usedBytes / MEBI).toFixed(1),
    (memory.plannedBytes / MEBI).toFixed(1),
  ];
  const full = ['nothing dropped', ...numbers(none.time, none.memory), '1', '0', '0', recommendation.agreement ? shown(recommendation.agreement) : '', '1'];
  const rows = settings.map((s) => [
    s.name,
    ...numbers(s.time, s.memory),
    shown(s.cosine),
    shown(s.biasSquared),
    shown(s.variance),
    s.progress ? shown(s.progress) : '',
    shown(s.gain),
  ]);
  const row = (cells: readonly string[]): HTMLElement =>
    el('tr', { class: cells[0] === recommendation.name ? 'best' : null }, ...cells.map((cell, i) => el('td', { class: i > 0 ? 'number' : null }, cell)));
  return el(
    'details',
    { class: 'card wide' },
    el('summary', {}, `All numbers (${rows.length} settings)`),
    el(
      'div',
      { class: 'scroll', tabindex: 0 },
      el(
        'table',
        {},
        el('thead', {}, el('tr', {}, ...HEAD.map((h, i) => el('th', { class: i > 0 ? 'number' : null }, h)))),
        el('tbody', {}, ...[full, ...rows].map(row)),
      ),
    ),
  );
}

/** @file The table of several runs. Its boxes choose the curves that are drawn. */

import { el } from '../../page/browser/dom.ts';
import { COLOURS } from '../../page/browser/plot.ts';
import type { RunView } from '../report.ts';
import { clock, loss, steps } from './amounts.ts';

const HEAD = ['run', 'state', 'steps', 'best held-out', 'after step', 'last held-out', 'last loss', 'time', 'tokens/s', 'model', 'drop plan'];
/** Columns of numbers: from the first of these, up to the second. */
const NUMBERS = [2, 9] as const;
const kind = (column: number): string | null => (column >= NUMBERS[0] && column < NUMBERS[1] ? 'number' : null);

const cellsOf = ({ state, model, drop, steps: count, heldOut, latest, seconds, tokensPerSecond }: RunView): (string | Node)[] => [
  el('span', { class: `state ${state}` }, state),
  steps(count),
  heldOut?.best ? loss(heldOut.best.loss) : '',
  heldOut?.best ? String(heldOut.best.step) : '',
  heldOut ? loss(heldOut.last.loss) : '',
  latest ? loss(latest.loss) : '',
  clock(seconds),
  tokensPerSecond === null ? '' : tokensPerSecond.toFixed(0),
  model,
  drop,
];

/** Makes the table. @param toggle is told which run is to be drawn or not */
export function runsTable(runs: readonly RunView[], toggle: (name: string, isShown: boolean) => void): HTMLElement {
  const best = Math.min(...runs.flatMap(({ heldOut }) => heldOut?.best?.loss ?? []));
  const rows = runs.map((run, i) => {
    const { name } = run.curve;
    const box = el('input', { type: 'checkbox', checked: true, onchange: () => toggle(name, box.checked) });
    const swatch = el('span', { class: 'swatch', style: `background: ${COLOURS[i % COLOURS.length]}` });
    const first = el('td', {}, el('label', {}, box, swatch, el('span', {}, name)));
    const cells = cellsOf(run).map((cell, k) => el('td', { class: kind(k + 1) }, cell));
    return el('tr', { class: run.heldOut?.best?.loss === best ? 'best' : null }, first, ...cells);
  });
  return el(
    'section',
    { class: 'card wide' },
    el('h2', {}, `${runs.length} runs`),
    el(
      'div',
      { class: 'scroll', tabindex: 0 },
      el('table', {}, el('thead', {}, el('tr', {}, ...HEAD.map((text, i) => el('th', { class: kind(i) }, text)))), el('tbody', {}, ...rows)),
    ),
  );
}

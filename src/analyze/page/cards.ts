/** @file Cards with plots of a report, and choices of what they show. */

import { type Card, type Figure, makeCard } from '../../page/browser/card.ts';
import { el } from '../../page/browser/dom.ts';
import type { AnalyzeReport } from '../report.ts';
import type { Drawn } from './plots.ts';

/** Which of the measured settings the plots show. */
interface Choices {
  spread: string;
  sampling: string;
}

/** The report, what of it is shown, and the functions that draw the plots anew. */
export interface Board {
  readonly report: AnalyzeReport;
  readonly choices: Choices;
  readonly redraws: (() => void)[];
}

/** The different values of a key of the settings, in their order. */
const valuesOf = ({ settings }: AnalyzeReport, key: keyof Choices): string[] => [...new Set(settings.map((s) => s[key]))];

/** Creates a board that shows the spread and sampling of the recommended setting, or else of the first one. */
export function createBoard(report: AnalyzeReport): Board {
  // a report without any setting has nothing to choose
  const shown = report.settings.find((s) => s.name === report.recommendation.name) ?? report.settings[0] ?? { spread: '', sampling: '' };
  return { report, choices: { spread: shown.spread, sampling: shown.sampling }, redraws: [] };
}

/** A card whose plot is drawn of the board's report and choices. */
interface BoardCard extends Omit<Card, 'draw'> {
  readonly draw: (drawn: Drawn) => Figure;
}

/** A card with its plot, which follows the board's choices. */
export function plotCard({ report, choices, redraws }: Board, { draw, ...card }: BoardCard): HTMLElement {
  const { element, redraw } = makeCard({
    ...card,
    draw: (width) => draw({ report, width, settings: report.settings.filter((s) => s.spread === choices.spread) }),
  });
  redraws.push(redraw);
  return element;
}

/** A row of radio buttons that changes a choice. Null where there is only one option. */
export function choiceRow({ report, choices, redraws }: Board, label: string, key: keyof Choices): HTMLElement | null {
  const options = valuesOf(report, key);
  if (options.length < 2) return null;
  const radios = options.map((option) => {
    const choose = (): void => {
      choices[key] = option;
      for (const redraw of redraws) redraw();
    };
    const radio = el('input', { type: 'radio', name: label, value: option, onchange: choose });
    radio.checked = option === choices[key];
    return el('label', {}, radio, el('span', {}, option));
  });
  return el('div', { class: 'choice', role: 'radiogroup', 'aria-label': label }, el('span', {}, label), ...radios);
}

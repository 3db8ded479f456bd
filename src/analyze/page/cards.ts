/** @file Cards with plots, and choices of what the plots show. A plot is drawn anew when its width or a choice changes. */

import { el } from '../../page/browser/dom.ts';
import type { AnalyzeReport } from '../report.ts';
import type { Drawn, Figure } from './plots.ts';

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

/** What a card says above its plot, and how the plot is drawn. */
interface Card {
  readonly title: string;
  readonly text: string;
  readonly draw: (drawn: Drawn) => Figure;
  /** Whether the card spans the page. */
  readonly wide?: boolean;
}

/** A card with its plot. */
export function plotCard({ report, choices, redraws }: Board, { title, text, draw, wide = false }: Card): HTMLElement {
  const holder = el('div', { class: 'plot' });
  let width = 0;
  const redraw = (): void => {
    if (width > 0) holder.replaceChildren(draw({ report, width, settings: report.settings.filter((s) => s.spread === choices.spread) }));
  };
  new ResizeObserver(([entry]) => {
    if (!entry || Math.floor(entry.contentRect.width) === width) return;
    width = Math.floor(entry.contentRect.width);
    redraw();
  }).observe(holder);
  redraws.push(redraw);
  return el('section', { class: wide ? 'card wide' : 'card' }, el('h2', {}, title), el('p', {}, text), holder);
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

/** @file Cards with plots. A plot is drawn anew when its width changes, or what it shows. */

import { el } from './dom.ts';

export type Figure = SVGElement | HTMLElement;

/** What a card says above its plot, and how the plot is drawn. */
export interface Card {
  readonly title: string;
  readonly text: string;
  /** @param width in pixels */
  readonly draw: (width: number) => Figure;
  /** Whether the card spans the page. */
  readonly wide?: boolean;
}

/** A card on a page, and the function that draws its plot anew. */
export interface PlacedCard {
  readonly element: HTMLElement;
  readonly redraw: () => void;
}

/** Makes a card with a plot. */
export function makeCard({ title, text, draw, wide = false }: Card): PlacedCard {
  const holder = el('div', { class: 'plot' });
  let width = 0;
  const redraw = (): void => {
    if (width > 0) holder.replaceChildren(draw(width));
  };
  new ResizeObserver(([entry]) => {
    if (!entry || Math.floor(entry.contentRect.width) === width) return;
    width = Math.floor(entry.contentRect.width);
    redraw();
  }).observe(holder);
  return { element: el('section', { class: wide ? 'card wide' : 'card' }, el('h2', {}, title), el('p', {}, text), holder), redraw };
}

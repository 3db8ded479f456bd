/** @file The numbers of the pattern beside those with nothing dropped: FLOPs, bytes and dispatches. */

import { el } from '../../page/browser/dom.ts';
import { amount, QUANTITIES, QUANTITY_TEXT, type Quantity } from '../report.ts';
import { short } from './short.ts';
import type { Store } from './store.ts';

/** A card with one quantity. Its number is written by `update`. */
function quantityCard(key: Quantity): { readonly element: HTMLElement; readonly update: (own: number, whole: number) => void } {
  const { label, unit } = QUANTITY_TEXT[key];
  const value = el('strong', { 'data-quantity': key });
  const change = el('span', { class: 'change' });
  const bar = el('i', {});
  return {
    element: el('div', { class: 'quantity' }, el('span', { class: 'label' }, label), value, change, el('span', { class: 'meter' }, bar)),
    update(own, whole) {
      const share = whole === 0 ? 1 : own / whole;
      value.textContent = amount(own, unit).trim();
      value.title = `${own.toLocaleString('en')} ${unit}`;
      change.textContent = own === whole ? 'unchanged' : `${share < 1 ? '−' : '+'}${Math.abs(100 * (1 - share)).toFixed(1)} % (${short(whole, unit)})`;
      change.classList.toggle('less', share < 1);
      change.classList.toggle('more', share > 1);
      bar.style.width = `${Math.min(100, 100 * share)}%`;
    },
  };
}

/** Creates the row of cards. */
export function quantityCards(store: Store): HTMLElement {
  const cards = QUANTITIES.map((key) => ({ key, ...quantityCard(key) }));
  store.draw(() => {
    for (const { key, update } of cards) update(store.linked.report[key], store.whole.report[key]);
  });
  return el('section', { class: 'quantities', 'aria-label': 'numbers of this pattern' }, ...cards.map((c) => c.element));
}

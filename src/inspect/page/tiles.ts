/** @file The numbers of the variant, each beside the same with nothing dropped. */

import { el } from '../../page/browser/dom.ts';
import { amount, QUANTITIES, QUANTITY_TEXT } from '../report.ts';
import { short } from './short.ts';
import type { Store } from './store.ts';

/** The row of numbers. */
export function tiles(store: Store): HTMLElement {
  const made = QUANTITIES.map((key) => {
    const value = el('strong', { 'data-quantity': key });
    const change = el('span', { class: 'change' });
    const bar = el('i', {});
    return {
      key,
      value,
      change,
      bar,
      element: el('div', { class: 'tile' }, el('span', { class: 'label' }, QUANTITY_TEXT[key].label), value, change, el('span', { class: 'meter' }, bar)),
    };
  });
  store.draw(() => {
    for (const { key, value, change, bar } of made) {
      const [own, whole] = [store.linked.report[key], store.whole.report[key]];
      const share = whole === 0 ? 1 : own / whole;
      value.textContent = amount(own, QUANTITY_TEXT[key].unit).trim();
      value.title = `${own.toLocaleString('en')} ${QUANTITY_TEXT[key].unit}`;
      change.textContent =
        own === whole ? 'unchanged' : `${share < 1 ? '−' : '+'}${Math.abs(100 * (1 - share)).toFixed(1)} % (${short(whole, QUANTITY_TEXT[key].unit)})`;
      change.classList.toggle('less', share < 1);
      change.classList.toggle('more', share > 1);
      bar.style.width = `${Math.min(100, 100 * share)}%`;
    }
  });
  return el('section', { class: 'tiles', 'aria-label': 'numbers of this pattern' }, ...made.map((t) => t.element));
}

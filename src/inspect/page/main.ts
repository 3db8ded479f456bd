/** @file The page of `ebb inspect --html`: links patterns by the real linker as they are clicked together. */

import { el } from '../../page/browser/dom.ts';
import { themeButton } from '../../page/browser/theme.ts';
import type { Form } from '../../runtime/link/forms.ts';
import type { PageData } from '../pageData.ts';
import { QUANTITIES, type Totals } from '../report.ts';
import { details } from './details.ts';
import { graphs } from './graphView.ts';
import { createStore } from './store.ts';
import { tiles } from './tiles.ts';
import { timeline } from './timeline.ts';
import { unitsColumn } from './units.ts';

/** For scripts and tests: what a person does by clicking, and what they read. */
interface PageApi {
  /** Forms by unit; units left out are `full`. */
  setPattern(pattern: Readonly<Record<string, Form>>): void;
  numbers(): Totals;
}

declare global {
  interface Window {
    ebb: PageApi;
  }
}

const data: PageData = JSON.parse(document.getElementById('data')?.textContent ?? '{}');
const store = createStore(data);
store.setPattern(Object.entries(data.pattern));
window.ebb = {
  setPattern: (pattern) => store.setPattern(Object.entries(pattern)),
  numbers: () => Object.fromEntries(QUANTITIES.map((key) => [key, store.linked.report[key]])) as Record<keyof Totals, number>,
};

const sizes = Object.entries(data.sizes).map(([name, size]) => `${name} = ${size}`);
document.body.append(
  el(
    'header',
    { class: 'top' },
    el('h1', {}, el('b', {}, 'ebb'), ' ', data.title),
    el('span', {}, `${store.units.length} units · ${data.program.functions.length} functions · ${data.program.pipelines.length} kernels · ${sizes.join(', ')}`),
    themeButton(),
  ),
  el('div', { class: 'layout' }, unitsColumn(store), el('main', {}, tiles(store), timeline(store), graphs(store)), details(store)),
);

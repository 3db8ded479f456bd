/** @file The page of `ebb inspect --html`. The reader puts a pattern together, and the linker of the engine links it in the page. */

import { embeddedData } from '../../page/browser/data.ts';
import { el } from '../../page/browser/dom.ts';
import { themeButton } from '../../page/browser/theme.ts';
import type { Form } from '../../runtime/link/forms.ts';
import type { PageData } from '../pageData.ts';
import { QUANTITIES, type Totals } from '../report.ts';
import { details } from './details.ts';
import { graphs } from './graphView.ts';
import { quantityCards } from './quantities.ts';
import { createStore } from './store.ts';
import { timeline } from './timeline.ts';
import { unitsColumn } from './units.ts';

/** What scripts and tests can do and read, as a person does by clicking. */
interface PageApi {
  /** Sets the form of each unit. A unit that is left out becomes `full`. */
  setPattern(pattern: Readonly<Record<string, Form>>): void;
  /** Returns the numbers of the pattern. */
  numbers(): Totals;
}

declare global {
  interface Window {
    ebb: PageApi;
  }
}

const data = embeddedData<PageData>();
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
  el('div', { class: 'layout' }, unitsColumn(store), el('main', {}, quantityCards(store), timeline(store), graphs(store)), details(store)),
);

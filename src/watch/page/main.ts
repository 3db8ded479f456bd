/** @file The page of `ebb runs --html` and `ebb watch --html`: runs, and their losses laid over one another. A page that is served follows its run. */

import { makeCard } from '../../page/browser/card.ts';
import { embeddedData } from '../../page/browser/data.ts';
import { el } from '../../page/browser/dom.ts';
import { lossPlot } from '../../page/browser/plot.ts';
import { themeButton } from '../../page/browser/theme.ts';
import type { PageData, RunView } from '../report.ts';
import { runCard } from './runCard.ts';
import { runsTable } from './table.ts';

const { runs: first, updates } = embeddedData<PageData>();
/** What is shown: the runs as they are now, and those whose curves are left out. */
let runs: readonly RunView[] = first;
const hidden = new Set<string>();

const plot = (width: number, by: 'step' | 'seconds') => lossPlot({ curves: runs.map(({ curve }) => curve), hidden, width, by, height: 340 });
const HOLLOW = 'Lines are losses of training, hollow dots held-out losses.';
const byStep = makeCard({ title: 'Loss by step', text: HOLLOW, draw: (width) => plot(width, 'step') });
const bySeconds = makeCard({
  title: 'Loss by time',
  text: `By the time of training, which is what counts. ${HOLLOW}`,
  draw: (width) => plot(width, 'seconds'),
});

function redraw(): void {
  byStep.redraw();
  bySeconds.redraw();
}

const about = el('div', { class: 'about' });
/** Shows the runs as they are now. */
function show(): void {
  const [only] = runs;
  const toggle = (name: string, isShown: boolean): void => {
    if (isShown) hidden.delete(name);
    else hidden.add(name);
    redraw();
  };
  about.replaceChildren(only !== undefined && runs.length === 1 ? runCard(only, updates !== null) : runsTable(runs, toggle));
  redraw();
}

const [only] = first;
const title = only !== undefined && first.length === 1 ? only.curve.name : `${first.length} runs`;
const models = [...new Set(first.map(({ model }) => model))].filter((model) => model !== '');
const plans = [...new Set(first.map(({ drop }) => drop))];
/** What all runs have in common. */
const facts = [models, plans].flatMap((values) => (values.length === 1 ? values : [])).join(' · ');
document.body.append(
  el('header', { class: 'top' }, el('h1', {}, el('b', {}, 'ebb'), ' ', title), el('span', {}, facts), themeButton()),
  el('main', {}, about, byStep.element, bySeconds.element),
);
show();

if (updates !== null) {
  const source = new EventSource(updates);
  source.addEventListener('message', ({ data }) => {
    runs = JSON.parse(String(data)) as readonly RunView[];
    show();
    // the server ends with the run
    if (runs.every(({ state }) => state !== 'running')) source.close();
  });
}

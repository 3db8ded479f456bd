/** @file The column of calls in the order of forward: units with their forms in the pattern, the trunk between them, and the frontier. */

import { uniformDrop } from '../../dropbp/uniformDrop.ts';
import { at } from '../../errors.ts';
import { el } from '../../page/browser/dom.ts';
import type { Form } from '../../runtime/link/forms.ts';
import { amount } from '../report.ts';
import { short } from './short.ts';
import type { Store } from './store.ts';

const FORMS: readonly { readonly form: Form; readonly label: string; readonly title: string }[] = [
  { form: 'full', label: 'full', title: 'saves what its backward reads' },
  { form: 'remat', label: 'remat', title: 'saves its input; backward runs the forward again' },
  { form: 'dropped', label: 'drop', title: 'saves nothing, has no backward' },
];

/** By call: the bytes that its forward leaves on the stack. A call without a forward is absent. */
function keptByCall(store: Store): Map<number, number> {
  const kept = new Map<number, number>();
  let below = 0;
  for (const call of store.linked.variant.calls) {
    if (call.phase !== 'forward') continue;
    kept.set(call.call, call.footprint.kept - below);
    below = call.footprint.kept;
  }
  return kept;
}

/** The buttons that set the whole pattern: nothing dropped, everything dropped, or units drawn at a rate. */
function controls(store: Store): HTMLElement {
  const all = (form: Form) => () => store.setPattern(store.units.map((u) => [u, form] as const));
  const rate = el('input', { type: 'number', min: 0, max: 1, step: 0.05, value: 0.5, id: 'rate' });
  const seed = el('input', { type: 'number', min: 0, step: 1, value: 0, id: 'seed' });
  const random = (): void => {
    const dropped = uniformDrop(store.units, Number(rate.value), Number(seed.value));
    store.setPattern(dropped.map((u) => [u, 'dropped'] as const));
  };
  return el(
    'div',
    { class: 'controls' },
    el(
      'div',
      { class: 'buttons' },
      el('button', { id: 'none', onclick: all('full') }, 'None dropped'),
      el('button', { id: 'all', onclick: all('dropped') }, 'All dropped'),
    ),
    el(
      'form',
      {
        class: 'random',
        onsubmit: (event) => {
          event.preventDefault();
          random();
        },
      },
      el('label', { for: 'rate' }, 'rate'),
      rate,
      el('label', { for: 'seed' }, 'seed'),
      seed,
      el('button', { id: 'random', type: 'submit' }, 'Random'),
    ),
  );
}

interface CallRow {
  readonly element: HTMLElement;
  /** @param kept bytes that the call's forward leaves on the stack @param backward whether the call has a backward */
  readonly update: (kept: number, backward: boolean) => void;
}

/** The row of a call. A unit has a radio button for each form. */
function callRow(store: Store, call: number): CallRow {
  const { site, unit, forward } = at(store.data.program.calls, call);
  const cost = el('span', { class: 'cost' });
  const name = el('button', { class: 'name', title: `show ${site}`, onclick: () => store.select({ call, fn: forward }) }, site);
  const radios = FORMS.map(({ form, title }) =>
    el('input', {
      type: 'radio',
      name: `form of ${site}`,
      value: form,
      'aria-label': `${site} ${form}: ${title}`,
      onchange: () => store.setPattern([...store.pattern, [site, form]]),
    }),
  );
  const group = el(
    'span',
    { class: 'forms', role: 'radiogroup', 'aria-label': site },
    ...FORMS.map(({ form, label, title }, i) => el('label', { class: `form ${form}`, title }, at(radios, i), el('span', {}, label))),
  );
  const element = el(
    'li',
    { class: unit ? 'row unit' : 'row trunk', 'data-site': site },
    name,
    unit ? group : el('span', { class: 'forms none' }, 'trunk'),
    cost,
  );
  return {
    element,
    update(kept, backward) {
      const form = store.pattern.get(site) ?? 'full';
      for (const radio of radios) radio.checked = radio.value === form;
      element.classList.toggle('idle', !backward);
      element.classList.toggle('frontier', store.linked.variant.frontier === site);
      element.classList.toggle('selected', store.selection.call === call);
      cost.textContent = backward ? short(kept, 'B') : '–';
      cost.title = backward ? `${amount(kept, 'B')} kept for backward` : 'no backward';
    },
  };
}

/** What a pattern does to units, in a sentence. */
function summaryText({ linked: { report, ms }, units }: Store): string {
  const { dropped, remat = [], skipped = [] } = report;
  const others = [...(remat.length > 0 ? [`${remat.length} remat`] : []), ...(skipped.length > 0 ? [`${skipped.length} skipped`] : [])];
  return `${dropped.length} of ${units.length} units dropped${others.map((o) => `, ${o}`).join('')} · linked in ${ms.toFixed(1)} ms`;
}

/** Creates the column. */
export function unitsColumn(store: Store): HTMLElement {
  const { calls } = store.data.program;
  const summary = el('p', { class: 'summary', 'aria-live': 'polite' });
  const rows = calls.map((_, call) => callRow(store, call));
  const list = el('ol', { class: 'units' }, ...rows.map((r) => r.element));
  store.draw(() => {
    const kept = keptByCall(store);
    const backwards = new Set(store.linked.variant.kept);
    rows.forEach((r, call) => r.update(kept.get(call) ?? 0, backwards.has(at(calls, call).site)));
    summary.textContent = summaryText(store);
  }, true);
  return el(
    'aside',
    { 'aria-label': 'pattern' },
    el('h2', {}, 'Pattern'),
    controls(store),
    summary,
    el('p', { class: 'columns' }, el('span', {}, 'call, in the order of forward'), el('span', {}, 'kept')),
    list,
  );
}

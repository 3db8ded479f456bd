/** @file The column of calls: each unit with its form of the pattern, trunk between them, the frontier. */

import { uniformDrop } from '../../dropbp/uniformDrop.ts';
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

/** Bytes that a call's forward leaves on the stack, by call. */
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

interface Row {
  readonly element: HTMLElement;
  readonly update: (kept: number, runs: boolean) => void;
}

function row(store: Store, call: number): Row {
  const { site, unit } = store.data.program.calls[call] ?? { site: '', unit: false };
  const cost = el('span', { class: 'cost' });
  const name = el(
    'button',
    { class: 'name', title: `show ${site}`, onclick: () => store.select({ call, fn: store.data.program.calls[call]?.forward ?? 0 }) },
    site,
  );
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
    ...FORMS.map(({ form, label, title }, i) => el('label', { class: `form ${form}`, title }, radios[i] ?? null, el('span', {}, label))),
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
    update(kept, runs) {
      const form = store.pattern.get(site) ?? 'full';
      for (const radio of radios) radio.checked = radio.value === form;
      element.classList.toggle('idle', !runs);
      element.classList.toggle('frontier', store.linked.variant.frontier === site);
      element.classList.toggle('selected', store.selection.call === call);
      cost.textContent = runs ? short(kept, 'B') : '–';
      cost.title = runs ? `${amount(kept, 'B')} kept for backward` : 'no backward';
    },
  };
}

/** The column. */
export function unitsColumn(store: Store): HTMLElement {
  const summary = el('p', { class: 'summary', 'aria-live': 'polite' });
  const rows = store.data.program.calls.map((_, call) => row(store, call));
  const list = el('ol', { class: 'units' }, ...rows.map((r) => r.element));
  store.draw(() => {
    const kept = keptByCall(store);
    const ran = new Set(store.linked.variant.kept);
    rows.forEach((r, call) => r.update(kept.get(call) ?? 0, ran.has(store.data.program.calls[call]?.site ?? '')));
    const { dropped, remat = [], skipped = [] } = store.linked.report;
    const others = [...(remat.length > 0 ? [`${remat.length} remat`] : []), ...(skipped.length > 0 ? [`${skipped.length} skipped`] : [])];
    summary.textContent = `${dropped.length} of ${store.units.length} units dropped${others.map((o) => `, ${o}`).join('')} · linked in ${store.linked.ms.toFixed(1)} ms`;
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

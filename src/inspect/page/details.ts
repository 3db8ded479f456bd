/** @file The selected kernel: its values with shape, bytes and source line, its IR, its WGSL; or the selected function as a whole. */

import { el } from '../../page/browser/dom.ts';
import { groupDispatches } from '../../runtime/program.ts';
import type { GraphNode, ValueView } from '../pageData.ts';
import { amount } from '../report.ts';
import { code } from './code.ts';
import type { Store } from './store.ts';

function valueTable(title: string, values: readonly ValueView[], given: (name: string) => string | undefined): HTMLElement | null {
  if (values.length === 0) return null;
  const rows = values.map((v) => {
    const real = given(v.name);
    const notes = [...(real !== undefined && real !== v.name ? [real] : []), ...(v.uses ?? []), ...(v.loc ? [v.loc] : [])];
    return el(
      'tr',
      {},
      el('td', {}, el('code', {}, `%${v.name}`), notes.length > 0 ? el('small', {}, notes.join(' · ')) : null),
      el('td', {}, el('code', { class: 't-type' }, v.type)),
      el('td', { class: 'number' }, v.role === 'scalar' ? '' : amount(v.bytes, 'B')),
    );
  });
  const head = el('tr', {}, el('th', {}, 'value, source line'), el('th', {}, 'type'), el('th', { class: 'number' }, 'bytes'));
  return el(
    'details',
    { open: title !== 'inside' },
    el('summary', {}, `${title} (${values.length})`),
    el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows)),
  );
}

function block(title: string, text: string, language: 'ir' | 'wgsl', open: boolean): HTMLElement {
  return el('details', { open }, el('summary', {}, title), code(text, language));
}

function facts(list: readonly (readonly [string, string])[]): HTMLElement {
  return el('dl', {}, ...list.flatMap(([term, text]) => [el('dt', {}, term), el('dd', {}, text)]));
}

function kernelDetails(store: Store, node: GraphNode, given: (name: string) => string | undefined): HTMLElement[] {
  const { program } = store.data;
  const fn = program.functions[store.selection.fn];
  const dispatch = fn && groupDispatches(fn)[node.dispatch ?? -1];
  const pipeline = program.pipelines[dispatch?.pipeline ?? -1];
  const flowing = store.data.functions[store.selection.fn]?.edges.filter((e) => e.to === store.selection.node) ?? [];
  const nodes = store.data.functions[store.selection.fn]?.nodes ?? [];
  const incoming = flowing.flatMap((e) => nodes[e.from]?.writes.filter((v) => e.values.includes(v.name)) ?? []);
  const reads = [...incoming, ...node.reads];
  const bytes = [...reads, ...node.writes].reduce((sum, v) => sum + (v.role === 'scalar' ? 0 : v.bytes), 0);
  const grid = dispatch?.grid.map(({ of, per }) => (per === 1 ? of.join('·') || '1' : `⌈${of.join('·') || '1'} / ${per}⌉`)).join(' × ') ?? '';
  const shared = program.functions.filter((f) => f.dispatches.some((d) => d.pipeline === dispatch?.pipeline)).map((f) => `@${f.name}`);
  return [
    el('h2', {}, node.title),
    facts([
      ['kernel', `${pipeline?.name ?? ''} (pipeline ${dispatch?.pipeline ?? ''})`],
      ['lowered as', node.family],
      ['FLOPs', amount(node.flops ?? 0, 'FLOP')],
      ['reads and writes', amount(bytes, 'B')],
      ['workgroups', grid],
      ['used by', shared.join(', ')],
    ]),
    ...[valueTable('reads', reads, given), valueTable('writes', node.writes, given), valueTable('inside', node.inner, given)].filter((t) => t !== null),
    block('IR of the group', node.text ?? '', 'ir', true),
    block('WGSL', pipeline?.wgsl ?? '', 'wgsl', true),
  ];
}

/** The panel. */
export function details(store: Store): HTMLElement {
  const panel = el('aside', { class: 'details', 'aria-label': 'details', tabindex: -1 });
  const { program } = store.data;
  // where everything is one column, what was chosen lies below
  const narrow = matchMedia('(max-width: 1000px)');
  let before: GraphNode | undefined;
  store.draw(() => {
    const { call, fn, node } = store.selection;
    const view = store.data.functions[fn];
    const decl = program.functions[fn];
    const forward = program.functions[program.calls[call]?.forward ?? -1];
    const names = new Map(forward?.params.map((p, i) => [forward.slots[p.slot]?.name ?? '', store.data.operands[call]?.[i]]));
    const box = node === null ? undefined : view?.nodes[node];
    const given = (name: string): string | undefined => names.get(name);
    const chosen = box !== undefined && box !== before;
    before = box;
    if (box?.kind === 'kernel') panel.replaceChildren(...kernelDetails(store, box, given));
    else if (box) panel.replaceChildren(el('h2', {}, `%${box.title}`), ...[valueTable(box.family, box.writes, given)].filter((t) => t !== null));
    else {
      const site = program.calls[call]?.site ?? '';
      const own = store.linked.report.calls.filter((c) => c.site === site);
      const flops = (forwards: boolean): string =>
        amount(
          own.reduce((sum, c) => sum + ((c.phase === 'forward') === forwards ? c.flops : 0), 0),
          'FLOP',
        );
      panel.replaceChildren(
        el('h2', {}, site),
        facts([
          ['form', program.calls[call]?.unit ? (store.pattern.get(site) ?? 'full') : 'trunk'],
          ['forward', flops(true)],
          ['backward', own.some((c) => c.phase !== 'forward') ? flops(false) : 'none'],
          ['runs', own.map((c) => `@${c.function}`).join(', ')],
        ]),
        el('p', { class: 'hint' }, 'Choose a kernel of the graph for its values, its IR and its WGSL.'),
        block(`@${decl?.name} in the IR, fused`, view?.text ?? '', 'ir', true),
      );
    }
    if (chosen && narrow.matches) panel.scrollIntoView();
  }, true);
  return panel;
}

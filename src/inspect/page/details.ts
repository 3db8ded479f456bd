/**
 * @file The panel of details: the selected kernel with its values, their shapes, bytes and source lines, its IR and its WGSL; or, where no
 * box is selected, the selected function.
 */

import { at } from '../../errors.ts';
import { el } from '../../page/browser/dom.ts';
import { groupDispatches } from '../../runtime/program.ts';
import type { GraphNode, KernelNode, ValueView } from '../pageData.ts';
import { amount } from '../report.ts';
import { code } from './code.ts';
import { type Store, viewOf } from './store.ts';

/** Gives the name that a parameter of the function has in the selected call. */
type GivenName = (name: string) => string | undefined;

function valueRow(value: ValueView, given: GivenName): HTMLElement {
  const real = given(value.name);
  const notes = [...(real !== undefined && real !== value.name ? [real] : []), ...(value.uses ?? []), ...(value.loc ? [value.loc] : [])];
  return el(
    'tr',
    {},
    el('td', {}, el('code', {}, `%${value.name}`), notes.length > 0 ? el('small', {}, notes.join(' · ')) : null),
    el('td', {}, el('code', { class: 't-type' }, value.type)),
    el('td', { class: 'number' }, value.role === 'scalar' ? '' : amount(value.bytes, 'B')),
  );
}

/** A table of values, or nothing where there are none. */
function valueTable(title: string, values: readonly ValueView[], given: GivenName, open = true): HTMLElement[] {
  if (values.length === 0) return [];
  const head = el('tr', {}, el('th', {}, 'value, source line'), el('th', {}, 'type'), el('th', { class: 'number' }, 'bytes'));
  const table = el('table', {}, el('thead', {}, head), el('tbody', {}, ...values.map((v) => valueRow(v, given))));
  return [el('details', { open }, el('summary', {}, `${title} (${values.length})`), table)];
}

function block(title: string, text: string, language: 'ir' | 'wgsl'): HTMLElement {
  return el('details', { open: true }, el('summary', {}, title), code(text, language));
}

function facts(list: readonly (readonly [string, string])[]): HTMLElement {
  return el('dl', {}, ...list.flatMap(([term, text]) => [el('dt', {}, term), el('dd', {}, text)]));
}

/** The values that flow into a box along the edges of its graph. */
function incoming({ data, selection }: Store): ValueView[] {
  const { edges, nodes } = viewOf(data, selection.fn);
  return edges.filter((e) => e.to === selection.node).flatMap((e) => at(nodes, e.from).writes.filter((v) => e.values.includes(v.name)));
}

function kernelDetails(store: Store, node: KernelNode, given: GivenName): HTMLElement[] {
  const { program } = store.data;
  const dispatch = at(groupDispatches(at(program.functions, store.selection.fn)), node.dispatch);
  const pipeline = at(program.pipelines, dispatch.pipeline);
  const reads = [...incoming(store), ...node.reads];
  const bytes = [...reads, ...node.writes].reduce((sum, v) => sum + (v.role === 'scalar' ? 0 : v.bytes), 0);
  const grid = dispatch.grid.map(({ of, per }) => (per === 1 ? of.join('·') || '1' : `⌈${of.join('·') || '1'} / ${per}⌉`)).join(' × ');
  const users = program.functions.filter((f) => f.dispatches.some((d) => d.pipeline === dispatch.pipeline)).map((f) => `@${f.name}`);
  return [
    el('h2', {}, node.title),
    facts([
      ['kernel', `${pipeline.name} (pipeline ${dispatch.pipeline})`],
      ['lowered as', node.family],
      ['FLOPs', amount(node.flops, 'FLOP')],
      ['reads and writes', amount(bytes, 'B')],
      ['workgroups', grid],
      ['used by', users.join(', ')],
    ]),
    ...valueTable('reads', reads, given),
    ...valueTable('writes', node.writes, given),
    ...valueTable('inside', node.inner, given, false),
    block('IR of the group', node.text, 'ir'),
    block('WGSL', pipeline.code, 'wgsl'),
  ];
}

/** The selected function: its call's form and costs in the pattern, and its IR. */
function functionDetails({ data, selection, linked, pattern }: Store): HTMLElement[] {
  const { site, unit } = at(data.program.calls, selection.call);
  const runs = linked.report.calls.filter((c) => c.site === site);
  const flops = (forward: boolean): string =>
    amount(
      runs.reduce((sum, c) => sum + ((c.phase === 'forward') === forward ? c.flops : 0), 0),
      'FLOP',
    );
  return [
    el('h2', {}, site),
    facts([
      ['form', unit ? (pattern.get(site) ?? 'full') : 'trunk'],
      ['forward', flops(true)],
      ['backward', runs.some((c) => c.phase !== 'forward') ? flops(false) : 'none'],
      ['runs', runs.map((c) => `@${c.function}`).join(', ')],
    ]),
    el('p', { class: 'hint' }, 'Choose a kernel of the graph for its values, its IR and its WGSL.'),
    block(`@${at(data.program.functions, selection.fn).name} in the IR, fused`, viewOf(data, selection.fn).text, 'ir'),
  ];
}

function contents(store: Store, box: GraphNode | null): HTMLElement[] {
  if (box === null) return functionDetails(store);
  const { program, operands } = store.data;
  const { call } = store.selection;
  const forward = at(program.functions, at(program.calls, call).forward);
  const names = new Map(forward.params.map((p, i) => [at(forward.slots, p.slot).name, at(at(operands, call), i)]));
  const given: GivenName = (name) => names.get(name);
  if (box.kind === 'kernel') return kernelDetails(store, box, given);
  return [el('h2', {}, `%${box.title}`), ...valueTable(box.family, box.writes, given)];
}

/** Creates the panel. */
export function details(store: Store): HTMLElement {
  const panel = el('aside', { class: 'details', 'aria-label': 'details', tabindex: -1 });
  // in a narrow window everything is one column, and the panel lies below what was chosen
  const narrow = matchMedia('(max-width: 1000px)');
  let before: GraphNode | null = null;
  store.draw(() => {
    const { fn, node } = store.selection;
    const box = node === null ? null : at(viewOf(store.data, fn).nodes, node);
    const chosen = box !== null && box !== before;
    before = box;
    panel.replaceChildren(...contents(store, box));
    if (chosen && narrow.matches) panel.scrollIntoView();
  }, true);
  return panel;
}

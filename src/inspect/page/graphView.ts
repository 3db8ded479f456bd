/** @file The graphs of the selected call's functions: its forward, and under it the backward that is chosen or runs. */

import { el, svg } from '../../page/browser/dom.ts';
import type { FunctionView, GraphEdge, GraphNode, ValueView } from '../pageData.ts';
import { amount } from '../report.ts';
import { functionsAt, type Store } from './store.ts';

const RADIUS = 7;
/** Smaller than this nobody reads a box; wider graphs scroll. */
const LEAST = 0.72;

/** A path along `points` with rounded corners. */
function path(points: GraphEdge['points']): string {
  return points
    .map(([x, y], i) => {
      const [before, after] = [points[i - 1], points[i + 1]];
      if (!before || !after) return `${i === 0 ? 'M' : 'L'}${x} ${y}`;
      const toward = ([px, py]: readonly [number, number]): string => {
        const length = Math.hypot(px - x, py - y) || 1;
        const by = Math.min(RADIUS, length / 2) / length;
        return `${x + by * (px - x)} ${y + by * (py - y)}`;
      };
      return `L${toward(before)}Q${x} ${y} ${toward(after)}`;
    })
    .join('');
}

const SHORT: readonly (readonly [RegExp, string])[] = [
  [/^saved$/, 'saved'],
  [/^result$/, 'result'],
  [/^gradient of /, 'grad'],
];

function line(value: ValueView, kind: string): HTMLElement {
  const badges = (value.uses ?? []).map((use) => SHORT.find(([pattern]) => pattern.test(use))?.[1] ?? use);
  return el(
    'span',
    { class: `line ${kind} ${value.role}` },
    el('span', { class: 'v' }, value.name),
    el('span', { class: 'ty' }, value.type),
    ...[...new Set(badges)].map((b) => el('em', { class: b }, b)),
  );
}

function box(node: GraphNode, selected: boolean, choose: () => void): HTMLElement {
  const style = `left:${node.x}px;top:${node.y}px;width:${node.width}px;height:${node.height}px`;
  const head = node.kind === 'kernel' ? [el('span', { class: 'head' }, el('b', {}, node.title), el('small', {}, amount(node.flops ?? 0, 'FLOP')))] : [];
  const lines = [...node.reads.map((v) => line(v, 'read')), ...node.writes.map((v) => line(v, 'write'))];
  return el('button', { class: `node ${node.kind} of-${node.family}`, style, 'aria-pressed': String(selected), onclick: choose }, ...head, ...lines);
}

function drawing(view: FunctionView, selected: number | null, choose: (node: number) => void): HTMLElement {
  const edges = view.edges.map(({ from, to, values, points }) =>
    svg(
      'path',
      { class: from === selected || to === selected ? 'edge lit' : 'edge', d: path(points), 'marker-end': 'url(#arrow)' },
      svg('title', {}, values.join(', ')),
    ),
  );
  const arrow = svg(
    'marker',
    { id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' },
    svg('path', { d: 'M0 0.5L8 4L0 7.5z' }),
  );
  return el(
    'div',
    { class: 'drawing', style: `width:${view.width}px;height:${view.height}px` },
    svg('svg', { width: view.width, height: view.height }, svg('defs', {}, arrow), ...edges),
    ...view.nodes.map((node, i) => box(node, i === selected, () => choose(i))),
  );
}

/** Scales that were chosen, by function: a number, or the one that shows all of the width. They outlive a redrawing. */
type Zooms = Map<number, number | 'fit'>;

/** A graph scaled to the width there is, as far as it can be read then. */
function pane(store: Store, fn: number, zooms: Zooms): HTMLElement {
  const view = store.data.functions[fn];
  const decl = store.data.program.functions[fn];
  const { selection } = store;
  const runs = store.linked.variant.calls.filter((c) => c.fn === fn).length;
  const flops = view?.nodes.reduce((sum, n) => sum + (n.flops ?? 0), 0) ?? 0;
  const frame = el('div', { class: 'frame' });
  const rescale = (): void => {
    const inner = frame.firstElementChild;
    if (!(inner instanceof HTMLElement) || !view) return;
    const whole = Math.min(1, frame.clientWidth / view.width);
    const zoom = zooms.get(fn) ?? Math.max(LEAST, whole);
    const scale = zoom === 'fit' ? whole : zoom;
    inner.style.transform = `scale(${scale})`;
    inner.style.marginRight = `${view.width * (scale - 1)}px`;
    inner.style.marginBottom = `${view.height * (scale - 1)}px`;
    frame.dataset['scale'] = String(scale);
  };
  const step = (by: number) => (): void => {
    zooms.set(fn, Math.min(2, Math.max(0.3, Number(frame.dataset['scale'] ?? 1) * by)));
    rescale();
  };
  const fit = (): void => {
    zooms.set(fn, 'fit');
    rescale();
  };
  if (view) frame.append(drawing(view, selection.fn === fn ? selection.node : null, (node) => store.select({ fn, node })));
  new ResizeObserver(rescale).observe(frame);
  return el(
    'article',
    { class: runs > 0 ? 'pane' : 'pane unused', 'data-function': decl?.name ?? '' },
    el(
      'header',
      {},
      el('h3', {}, `@${decl?.name}`),
      el(
        'span',
        {},
        `${decl?.dispatches.length} kernels · ${amount(flops, 'FLOP')} · ${runs === 0 ? 'not run by this pattern' : `run ${runs}× by this pattern`}`,
      ),
      el(
        'span',
        { class: 'zoom' },
        el('button', { 'aria-label': 'smaller', onclick: step(0.8) }, '−'),
        el('button', { 'aria-label': 'larger', onclick: step(1.25) }, '+'),
        el('button', { title: 'all of its width', onclick: fit }, 'fit'),
      ),
    ),
    frame,
  );
}

/** What a form is called on its tab: `backward`, `backward, no dx`. */
function formName(name: string): string {
  const forms: Readonly<Record<string, string>> = { fwd: 'forward', bwd: 'backward', nodx: 'no dx' };
  return name
    .split('.')
    .slice(1)
    .map((part) => forms[part] ?? part)
    .join(', ');
}

/** The backward form of a call that is shown: the one chosen, else the one its variant runs, else its first. */
function shownBackward(store: Store, forms: readonly number[]): number | undefined {
  const { call, fn } = store.selection;
  const running = store.linked.variant.calls.find((c) => c.call === call && c.phase === 'backward')?.fn;
  return forms.find((f) => f === fn) ?? forms.find((f) => f === running) ?? forms[0];
}

/** The section with the graphs. */
export function graphs(store: Store): HTMLElement {
  const { program } = store.data;
  const functions = el('nav', { class: 'tabs', 'aria-label': 'functions' });
  const forms = el('nav', { class: 'tabs', 'aria-label': 'backward forms' });
  const title = el('h2', {});
  const panes = el('div', { class: 'panes' });
  const distinct = [...new Set(program.calls.map((c) => c.forward))];
  const tab = (text: string, on: boolean, choose: () => void): HTMLElement => el('button', { 'aria-pressed': String(on), onclick: choose }, text);
  const zooms: Zooms = new Map();
  let shownBefore = '';
  store.draw(() => {
    const { call } = store.selection;
    const [forward, ...others] = functionsAt(store.data, call);
    const backward = shownBackward(store, others);
    title.textContent = program.calls[call]?.site ?? '';
    functions.replaceChildren(
      ...distinct.map((f) => {
        const calls = program.calls.flatMap((c, i) => (c.forward === f ? [i] : []));
        const name = program.functions[f]?.name.replace(/\.fwd$/, '') ?? '';
        return tab(`@${name} ×${calls.length}`, f === forward, () => store.select({ call: calls[0] ?? 0, fn: f }));
      }),
    );
    forms.replaceChildren(
      ...(others.length < 2 ? [] : others.map((f) => tab(formName(program.functions[f]?.name ?? ''), f === backward, () => store.select({ fn: f })))),
    );
    const shown = [forward, backward].filter((f) => f !== undefined);
    // redrawn for a selection or a pattern, the same graphs stay where they are scrolled to
    const same = shown.join() === shownBefore;
    shownBefore = shown.join();
    const scrolled = same ? [...panes.querySelectorAll('.frame')].map((f) => f.scrollLeft) : [];
    panes.replaceChildren(...shown.map((f) => pane(store, f, zooms)));
    panes.querySelectorAll('.frame').forEach((f, i) => {
      f.scrollLeft = scrolled[i] ?? (f.scrollWidth - f.clientWidth) / 2;
    });
  }, true);
  return el('section', { class: 'graphs', 'aria-label': 'graphs' }, el('header', {}, title, functions, forms), panes);
}

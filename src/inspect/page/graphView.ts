/** @file The graphs of the selected call: its forward, and below it the backward that is chosen or that the pattern runs. */

import { at } from '../../errors.ts';
import { el, svg } from '../../page/browser/dom.ts';
import type { FunctionView, GraphEdge, GraphNode, ValueView } from '../pageData.ts';
import { amount } from '../report.ts';
import { functionsOf, type Store, viewOf } from './store.ts';

/** Radius of the corners of edges, in pixels. */
const RADIUS = 7;
/** A graph that is wider than its pane is scaled down, but no further than this, so that its boxes can be read. */
const READABLE_SCALE = 0.72;
const LEAST_SCALE = 0.3;
const MOST_SCALE = 2;

/** A path along `points` with rounded corners, as the attribute `d` of an SVG path. */
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

/** A use of a value in one word. */
const badge = (use: string): string => (use.startsWith('gradient of ') ? 'grad' : use);

function line(value: ValueView, kind: 'read' | 'write'): HTMLElement {
  const badges = new Set((value.uses ?? []).map(badge));
  return el(
    'span',
    { class: `line ${kind} ${value.role}` },
    el('span', { class: 'v' }, value.name),
    el('span', { class: 'ty' }, value.type),
    ...[...badges].map((b) => el('em', { class: b }, b)),
  );
}

function box(node: GraphNode, selected: boolean, choose: () => void): HTMLElement {
  const style = `left:${node.x}px;top:${node.y}px;width:${node.width}px;height:${node.height}px`;
  const head = node.kind === 'kernel' ? [el('span', { class: 'head' }, el('b', {}, node.title), el('small', {}, amount(node.flops, 'FLOP')))] : [];
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

/** The scale that was chosen for each function: a number, or `fit` for the one that shows its whole width. It outlives a redrawing. */
type ChosenScales = Map<number, number | 'fit'>;

/** Puts a drawing into a frame that scales it, and returns the frame with the buttons that change the scale. */
function scalable(content: HTMLElement, view: FunctionView, fn: number, chosen: ChosenScales): { frame: HTMLElement; buttons: HTMLElement } {
  const frame = el('div', { class: 'frame' }, content);
  const scale = (): number => {
    const whole = Math.min(1, frame.clientWidth / view.width);
    const choice = chosen.get(fn) ?? Math.max(READABLE_SCALE, whole);
    return choice === 'fit' ? whole : choice;
  };
  const rescale = (): void => {
    content.style.transform = `scale(${scale()})`;
    content.style.marginRight = `${view.width * (scale() - 1)}px`;
    content.style.marginBottom = `${view.height * (scale() - 1)}px`;
    frame.dataset['scale'] = String(scale());
  };
  const choose = (choice: () => number | 'fit') => (): void => {
    chosen.set(fn, choice());
    rescale();
  };
  const times = (by: number) => choose(() => Math.min(MOST_SCALE, Math.max(LEAST_SCALE, scale() * by)));
  new ResizeObserver(rescale).observe(frame);
  const buttons = el(
    'span',
    { class: 'zoom' },
    el('button', { 'aria-label': 'smaller', onclick: times(0.8) }, '−'),
    el('button', { 'aria-label': 'larger', onclick: times(1.25) }, '+'),
    el('button', { title: 'all of its width', onclick: choose(() => 'fit') }, 'fit'),
  );
  return { frame, buttons };
}

/** The graph of a function under a line that says what it costs and how often the pattern runs it. */
function pane(store: Store, fn: number, chosen: ChosenScales): HTMLElement {
  const { data, selection, linked } = store;
  const view = viewOf(data, fn);
  const { name, dispatches } = at(data.program.functions, fn);
  const runs = linked.variant.calls.filter((c) => c.fn === fn).length;
  const flops = view.nodes.reduce((sum, n) => sum + (n.kind === 'kernel' ? n.flops : 0), 0);
  const content = drawing(view, selection.fn === fn ? selection.node : null, (node) => store.select({ fn, node }));
  const { frame, buttons } = scalable(content, view, fn, chosen);
  const cost = `${dispatches.length} kernels · ${amount(flops, 'FLOP')} · ${runs === 0 ? 'not run by this pattern' : `run ${runs}× by this pattern`}`;
  return el(
    'article',
    { class: runs > 0 ? 'pane' : 'pane unused', 'data-function': name },
    el('header', {}, el('h3', {}, `@${name}`), el('span', {}, cost), buttons),
    frame,
  );
}

const FORM_WORDS: Readonly<Record<string, string>> = { fwd: 'forward', bwd: 'backward', nodx: 'no dx' };

/** The name of a form on its tab, such as `backward, no dx` for `attn.bwd.nodx`. */
function formName(name: string): string {
  const [, ...parts] = name.split('.');
  return parts.map((part) => FORM_WORDS[part] ?? part).join(', ');
}

/** The backward of a call that is shown: the one chosen, else the one that the pattern runs, else the first. */
function shownBackward({ selection, linked }: Store, backwards: readonly number[]): number | undefined {
  const running = linked.variant.calls.find((c) => c.call === selection.call && c.phase === 'backward')?.fn;
  return backwards.find((f) => f === selection.fn) ?? backwards.find((f) => f === running) ?? backwards[0];
}

const tab = (text: string, pressed: boolean, choose: () => void): HTMLElement => el('button', { 'aria-pressed': String(pressed), onclick: choose }, text);

/** A tab for each forward function of the model. It selects the first call of that function. */
function functionTabs(store: Store, forwards: readonly number[]): HTMLElement[] {
  const { calls, functions } = store.data.program;
  const selected = at(calls, store.selection.call).forward;
  return forwards.map((fn) => {
    const users = calls.flatMap((c, i) => (c.forward === fn ? [i] : []));
    const name = at(functions, fn).name.replace(/\.fwd$/, '');
    return tab(`@${name} ×${users.length}`, fn === selected, () => store.select({ call: at(users, 0), fn }));
  });
}

/** A tab for each backward of the selected call, where there are several. */
function formTabs(store: Store, backwards: readonly number[], shown: number | undefined): HTMLElement[] {
  if (backwards.length < 2) return [];
  return backwards.map((fn) => tab(formName(at(store.data.program.functions, fn).name), fn === shown, () => store.select({ fn })));
}

/** Creates the section with the graphs. */
export function graphs(store: Store): HTMLElement {
  const { calls } = store.data.program;
  const forwards = [...new Set(calls.map((c) => c.forward))];
  const functions = el('nav', { class: 'tabs', 'aria-label': 'functions' });
  const forms = el('nav', { class: 'tabs', 'aria-label': 'backward forms' });
  const title = el('h2', {});
  const panes = el('div', { class: 'panes' });
  const chosen: ChosenScales = new Map();
  let shownBefore = '';
  store.draw(() => {
    const [forward, ...backwards] = functionsOf(store.data, store.selection.call);
    const backward = shownBackward(store, backwards);
    title.textContent = at(calls, store.selection.call).site;
    functions.replaceChildren(...functionTabs(store, forwards));
    forms.replaceChildren(...formTabs(store, backwards, backward));
    const shown = backward === undefined ? [forward] : [forward, backward];
    // a graph that was shown before stays where it is scrolled to; another one is centred
    const scrolled = shown.join() === shownBefore ? [...panes.querySelectorAll('.frame')].map((f) => f.scrollLeft) : null;
    shownBefore = shown.join();
    panes.replaceChildren(...shown.map((fn) => pane(store, fn, chosen)));
    panes.querySelectorAll('.frame').forEach((f, i) => {
      f.scrollLeft = scrolled ? at(scrolled, i) : (f.scrollWidth - f.clientWidth) / 2;
    });
  }, true);
  return el('section', { class: 'graphs', 'aria-label': 'graphs' }, el('header', {}, title, functions, forms), panes);
}

/**
 * @file The chart of activation memory through a step, call by call: the stack above the axis, the slots below it. A gap is a call that
 * dropping left out.
 */

import { at } from '../../errors.ts';
import { el, svg } from '../../page/browser/dom.ts';
import type { LinkedCall } from '../../runtime/link/linked.ts';
import { amount } from '../report.ts';
import type { LinkedPattern, Store } from './store.ts';

/**
 * A call with its place on the horizontal axis, which has one unit a call: forward in order, then backward in reverse. Calls that share a
 * place divide it.
 */
interface PlacedCall {
  readonly call: LinkedCall;
  /** Its index among the variant's calls. */
  readonly index: number;
  readonly x: number;
  readonly width: number;
}

/** Places the calls of a variant. @param count the number of calls of the model */
function placed(calls: readonly LinkedCall[], count: number): PlacedCall[] {
  const columns: { call: LinkedCall; index: number }[][] = Array.from({ length: 2 * count }, () => []);
  let column = 0;
  calls.forEach((call, index) => {
    // a sum of cotangents stays in the place of the backward before it, whose gradient it adds
    if (call.phase !== 'sum') column = call.phase === 'forward' ? call.call : 2 * count - 1 - call.call;
    at(columns, column).push({ call, index });
  });
  return columns.flatMap((own, x) => own.map(({ call, index }, k) => ({ call, index, x: x + k / own.length, width: 1 / own.length })));
}

/** Height of the chart. The axis and all lengths on it are in parts of this. */
const HEIGHT = 100;
/** Room above the stack and below the slots, relative to both. */
const MARGIN = 1.04;

/** How bytes become heights. */
interface ByteScale {
  /** Height of the axis, from the top. */
  readonly axis: number;
  readonly height: (bytes: number) => number;
}

/** A scale on which several variants fit. */
function scaleOf(...patterns: readonly LinkedPattern[]): ByteScale {
  const stack = Math.max(1, ...patterns.map((p) => p.variant.stackBytes));
  const slots = Math.max(1, ...patterns.map((p) => p.variant.slotBytes));
  const perByte = HEIGHT / (MARGIN * (stack + slots));
  return { axis: perByte * MARGIN * stack, height: (bytes) => perByte * bytes };
}

const stackOf = ({ footprint: { kept, frame } }: LinkedCall): number => kept + frame;

/** A call with its memory and its FLOPs, in words. */
function describe({ linked }: Store, { call, index }: PlacedCall): string {
  const { site, flops } = at(linked.report.calls, index);
  const { kept, frame, slots } = call.footprint;
  const what = call.phase === 'sum' ? 'sum of cotangents' : `${site} · ${call.phase === 'again' ? 'forward again' : call.phase}`;
  return `${what} · kept ${amount(kept, 'B')} · scratch ${amount(frame, 'B')} · slots ${amount(slots, 'B')} · ${amount(flops, 'FLOP')}`;
}

/** The bars of the pattern: kept bytes and scratch above the axis, slots below it. The bars that reach `peak` stand out. */
function bars(calls: readonly PlacedCall[], { axis, height }: ByteScale, peak: number): SVGElement[] {
  return calls.flatMap(({ call, x, width }) => {
    const { kept, frame, slots } = call.footprint;
    const bar = (kind: string, top: number, size: number): SVGElement =>
      svg('rect', { class: kind, x: x + 0.04 * width, y: top, width: 0.92 * width, height: size });
    const top = stackOf(call) === peak ? ' top' : '';
    return [
      bar('kept', axis - height(kept), height(kept)),
      bar(`frame${top}`, axis - height(stackOf(call)), height(frame)),
      bar(`slots ${call.phase}`, axis, height(slots)),
    ];
  });
}

/** The stack with nothing dropped, behind the bars. */
function ghosts(calls: readonly PlacedCall[], { axis, height }: ByteScale): SVGElement[] {
  return calls.map(({ call, x, width }) => {
    const size = height(stackOf(call));
    return svg('rect', { class: 'ghost', x, y: axis - size, width, height: size });
  });
}

/** The axis, and the peaks of the stack and of the slots. */
function levels({ variant }: LinkedPattern, { axis, height }: ByteScale, count: number): SVGElement[] {
  const line = (kind: string, y: number): SVGElement => svg('line', { class: kind, x1: 0, x2: 2 * count, y1: y, y2: y });
  return [line('axis', axis), line('peak', axis - height(variant.stackBytes)), line('peak', axis + height(variant.slotBytes))];
}

/** The numbers of both peaks, at their heights. */
function peakLabels({ variant }: LinkedPattern, { axis, height }: ByteScale): HTMLElement[] {
  const label = (kind: string, y: number, text: string): HTMLElement => el('span', { class: kind, style: `top:${y}%` }, text);
  return [
    label('over', axis - height(variant.stackBytes), `stack ${amount(variant.stackBytes, 'B')}`),
    label('under', axis + height(variant.slotBytes), `slots ${amount(variant.slotBytes, 'B')}`),
  ];
}

/** The call under the pointer or chosen by keys, which is marked in the chart and described in the readout. */
interface Cursor {
  /** Takes the calls of a new pattern, of which none is marked. */
  reset(calls: readonly PlacedCall[]): void;
  /** Marks the call at `x` on the horizontal axis, or none. */
  point(x: number | null): void;
  /** Marks the next call (1) or the one before (−1). */
  step(by: 1 | -1): void;
  /** Selects the marked call in the store. */
  open(): void;
}

function createCursor(store: Store, chart: SVGElement, readout: HTMLElement): Cursor {
  let calls: readonly PlacedCall[] = [];
  let marked = -1;
  const mark = (index: number): void => {
    marked = index;
    chart.querySelector('.cursor')?.remove();
    const call = marked < 0 ? undefined : at(calls, marked);
    const peak = calls.find((c) => stackOf(c.call) === store.linked.variant.stackBytes);
    readout.textContent = call ? describe(store, call) : peak ? `peak: ${describe(store, peak)}` : '';
    if (call) chart.append(svg('rect', { class: 'cursor', x: call.x, y: 0, width: call.width, height: HEIGHT }));
  };
  return {
    reset(next) {
      calls = next;
      mark(-1);
    },
    point: (x) => mark(x === null ? -1 : calls.findIndex((c) => c.x <= x && x < c.x + c.width)),
    step: (by) => mark(Math.min(calls.length - 1, Math.max(0, marked + by))),
    open() {
      const { call } = marked < 0 ? { call: null } : at(calls, marked);
      if (call && call.phase !== 'sum') store.select({ call: call.call, fn: call.fn });
    },
  };
}

/** The plot, which moves the cursor by pointer and keys. */
function plot(cursor: Cursor, chart: SVGElement, labels: HTMLElement, count: number): HTMLElement {
  const axisX = (event: PointerEvent): number => {
    const { left, width } = chart.getBoundingClientRect();
    return ((event.clientX - left) / width) * 2 * count;
  };
  return el(
    'div',
    {
      class: 'plot',
      tabindex: 0,
      role: 'application',
      'aria-label': 'memory by call; arrow keys move, Enter shows the call',
      onpointermove: (event) => cursor.point(axisX(event as PointerEvent)),
      onpointerleave: () => cursor.point(null),
      onclick: () => cursor.open(),
      onkeydown: (event) => {
        const { key } = event as KeyboardEvent;
        if (key === 'Enter') return cursor.open();
        if (key !== 'ArrowRight' && key !== 'ArrowLeft') return;
        event.preventDefault();
        cursor.step(key === 'ArrowRight' ? 1 : -1);
      },
    },
    chart,
    labels,
  );
}

/** The title with the key of colours and the readout. */
function heading(readout: HTMLElement): HTMLElement {
  const key = (kind: string, text: string): HTMLElement => el('span', { class: `key ${kind}` }, text);
  return el(
    'header',
    {},
    el('h2', {}, 'Activation memory'),
    key('kept', 'kept'),
    key('frame', 'scratch'),
    key('peak', 'peak'),
    key('slots', 'slots'),
    key('ghost', 'nothing dropped'),
    readout,
  );
}

/** Creates the chart. */
export function timeline(store: Store): HTMLElement {
  const count = store.data.program.calls.length;
  const readout = el('p', { class: 'readout', 'aria-live': 'polite' });
  const chart = svg('svg', { viewBox: `0 0 ${2 * count} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const labels = el('div', { class: 'labels', 'aria-hidden': 'true' });
  const cursor = createCursor(store, chart, readout);
  store.draw(() => {
    const { linked, whole } = store;
    const scale = scaleOf(linked, whole);
    const calls = placed(linked.variant.calls, count);
    chart.replaceChildren(
      ...ghosts(placed(whole.variant.calls, count), scale),
      ...bars(calls, scale, linked.variant.stackBytes),
      ...levels(linked, scale, count),
    );
    labels.replaceChildren(...peakLabels(linked, scale));
    cursor.reset(calls);
  });
  return el(
    'section',
    { class: 'timeline', 'aria-label': 'activation memory' },
    heading(readout),
    plot(cursor, chart, labels, count),
    el('div', { class: 'phases', 'aria-hidden': 'true' }, el('span', {}, 'forward →'), el('span', {}, 'backward →')),
  );
}

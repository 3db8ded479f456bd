/** @file Activation memory through a step: the stack above the axis, the slots below, call by call; gaps are what dropping left out. */

import { el, svg } from '../../page/browser/dom.ts';
import type { LinkedCall } from '../../runtime/link/linked.ts';
import { amount } from '../report.ts';
import type { Linked, Store } from './store.ts';

/** A call's place on the axis: forward in order, then backward in reverse; what shares a place divides it. */
interface Step {
  readonly call: LinkedCall;
  readonly index: number;
  readonly x: number;
  readonly width: number;
}

function steps(calls: readonly LinkedCall[], count: number): Step[] {
  const columns: { call: LinkedCall; index: number }[][] = Array.from({ length: 2 * count }, () => []);
  let column = 0;
  calls.forEach((call, index) => {
    // sums of cotangents follow the backward whose gradient they add
    if (call.call >= 0) column = call.phase === 'forward' ? call.call : 2 * count - 1 - call.call;
    columns[column]?.push({ call, index });
  });
  return columns.flatMap((own, x) => own.map(({ call, index }, k) => ({ call, index, x: x + k / own.length, width: 1 / own.length })));
}

const HEIGHT = 100;

interface Scale {
  readonly axis: number;
  readonly y: (bytes: number) => number;
}

function scaleOf(...all: readonly Linked[]): Scale {
  const stack = Math.max(1, ...all.map((l) => l.variant.stackBytes));
  const slots = Math.max(1, ...all.map((l) => l.variant.slotBytes));
  const perByte = HEIGHT / (1.04 * (stack + slots));
  return { axis: perByte * 1.04 * stack, y: (bytes) => perByte * bytes };
}

function describe(store: Store, { call, index }: Step): string {
  const report = store.linked.report.calls[index];
  const { kept, frame, slots } = call.footprint;
  const what = call.phase === 'sum' ? 'sum of cotangents' : `${report?.site} · ${call.phase === 'again' ? 'forward again' : call.phase}`;
  return `${what} · kept ${amount(kept, 'B')} · scratch ${amount(frame, 'B')} · slots ${amount(slots, 'B')} · ${amount(report?.flops ?? 0, 'FLOP')}`;
}

function bars(all: readonly Step[], { axis, y }: Scale, peak: number): SVGElement[] {
  return all.flatMap(({ call, x, width }) => {
    const { kept, frame, slots } = call.footprint;
    const bar = (kind: string, top: number, height: number): SVGElement =>
      svg('rect', { class: kind, x: x + 0.04 * width, y: top, width: 0.92 * width, height });
    const top = kept + frame === peak ? ' top' : '';
    return [bar('kept', axis - y(kept), y(kept)), bar(`frame${top}`, axis - y(kept + frame), y(frame)), bar(`slots ${call.phase}`, axis, y(slots))];
  });
}

/** The chart. */
export function timeline(store: Store): HTMLElement {
  const count = store.data.program.calls.length;
  const readout = el('p', { class: 'readout', 'aria-live': 'polite' });
  const chart = svg('svg', { viewBox: `0 0 ${2 * count} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const labels = el('div', { class: 'labels', 'aria-hidden': 'true' });
  let all: readonly Step[] = [];
  let cursor: number | null = null;

  const mark = (): void => {
    chart.querySelector('.cursor')?.remove();
    const step = cursor === null ? undefined : all[cursor];
    const peak = all.find(({ call }) => call.footprint.kept + call.footprint.frame === store.linked.variant.stackBytes);
    readout.textContent = step ? describe(store, step) : peak ? `peak: ${describe(store, peak)}` : '';
    if (step) chart.append(svg('rect', { class: 'cursor', x: step.x, y: 0, width: step.width, height: HEIGHT }));
  };
  const move = (to: number | null): void => {
    cursor = to;
    mark();
  };
  const open = (): void => {
    const step = cursor === null ? undefined : all[cursor];
    if (step && step.call.call >= 0) store.select({ call: step.call.call, fn: step.call.fn });
  };
  const plot = el(
    'div',
    {
      class: 'plot',
      tabindex: 0,
      role: 'application',
      'aria-label': 'memory by call; arrow keys move, Enter shows the call',
      onpointermove: (event) => {
        const box = chart.getBoundingClientRect();
        const x = (((event as PointerEvent).clientX - box.left) / box.width) * 2 * count;
        const at = all.findIndex((s) => s.x <= x && x < s.x + s.width);
        move(at < 0 ? null : at);
      },
      onpointerleave: () => move(null),
      onclick: open,
      onkeydown: (event) => {
        const { key } = event as KeyboardEvent;
        if (key === 'Enter') return open();
        const by = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
        if (by === 0) return;
        event.preventDefault();
        move(Math.min(all.length - 1, Math.max(0, (cursor ?? -1) + by)));
      },
    },
    chart,
    labels,
  );

  store.draw(() => {
    const { variant } = store.linked;
    const whole = store.whole.variant;
    const scale = scaleOf(store.linked, store.whole);
    all = steps(variant.calls, count);
    const line = (kind: string, y: number): SVGElement => svg('line', { class: kind, x1: 0, x2: 2 * count, y1: y, y2: y });
    const level = (bytes: number): number => scale.axis - scale.y(bytes);
    const ghost = steps(whole.calls, count).map(({ call, x, width }) =>
      svg('rect', {
        class: 'ghost',
        x,
        y: level(call.footprint.kept + call.footprint.frame),
        width,
        height: scale.y(call.footprint.kept + call.footprint.frame),
      }),
    );
    chart.replaceChildren(
      ...ghost,
      ...bars(all, scale, variant.stackBytes),
      line('axis', scale.axis),
      line('peak', level(variant.stackBytes)),
      line('peak', scale.axis + scale.y(variant.slotBytes)),
    );
    const label = (kind: string, y: number, text: string): HTMLElement => el('span', { class: kind, style: `top:${y}%` }, text);
    labels.replaceChildren(
      label('over', level(variant.stackBytes), `stack ${amount(variant.stackBytes, 'B')}`),
      label('under', scale.axis + scale.y(variant.slotBytes), `slots ${amount(variant.slotBytes, 'B')}`),
    );
    cursor = null;
    mark();
  });
  const key = (kind: string, text: string): HTMLElement => el('span', { class: `key ${kind}` }, text);
  return el(
    'section',
    { class: 'timeline', 'aria-label': 'activation memory' },
    el(
      'header',
      {},
      el('h2', {}, 'Activation memory'),
      key('kept', 'kept'),
      key('frame', 'scratch'),
      key('peak', 'peak'),
      key('slots', 'slots'),
      key('ghost', 'nothing dropped'),
      readout,
    ),
    plot,
    el('div', { class: 'phases', 'aria-hidden': 'true' }, el('span', {}, 'forward →'), el('span', {}, 'backward →')),
  );
}

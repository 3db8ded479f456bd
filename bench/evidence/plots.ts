/** @file The plots of the evidence, as Vega-Lite specifications. */

import { invariant } from '../../src/errors.ts';
import { mean } from '../stats.ts';
import { BASE, type Plot, type Spec } from '../vega.ts';
import { SPAN } from './results.ts';
import { paired, type Summary } from './summary.ts';
import { CURVES, VIEWS, type View } from './views.ts';

type Summaries = ReadonlyMap<string, Summary>;
/** The rows of the data of a plot. */
type Rows = readonly Readonly<Record<string, string | number>>[];

/** A legend that does not cut long names. */
const LEGEND = { labelLimit: 0, symbolOpacity: 1 };
const quantity = (field: string, title: string | null): Spec => ({ field, type: 'quantitative', title, scale: { zero: false } });
/** Curves begin at this step. Before it all settings descend from the same loss. */
const FROM = 30;
const PANELS = ['loss of training steps', 'held-out data', 'training data, nothing dropped'] as const;

/**
 * Plots the loss of training steps, and the losses with nothing dropped, with a line for the mean of the seeds and a band for their range.
 * @param x the length of a step on the horizontal axis
 */
function curves(summaries: Summaries, title: string, xTitle: string, x: (s: Summary) => number): Spec {
  const shown = CURVES.flatMap((c) => summaries.get(c.setting) ?? []).filter((s) => Number.isFinite(x(s)));
  const values: Rows = shown.flatMap((s) => {
    const curve = CURVES.find((c) => c.setting === s.name);
    invariant(curve, `${s.name} has no curve`);
    const { series, rate } = curve;
    return s.runs.flatMap(({ seed, losses, evaluations }) => {
      const at = (panel: string, step: number, loss: number) => (step < FROM ? [] : [{ panel, series, rate, seed, x: step * x(s), loss }]);
      return [
        ...losses.flatMap((loss, k) => at(PANELS[0], (k + 0.5) * SPAN, loss)),
        ...evaluations.flatMap((e) => [...at(PANELS[1], e.step, e.heldOut), ...at(PANELS[2], e.step, e.train)]),
      ];
    });
  });
  const encoding = {
    x: quantity('x', xTitle),
    color: { field: 'rate', type: 'ordinal', title: 'rate', scale: { scheme: 'category10' }, legend: LEGEND },
    strokeDash: {
      field: 'series',
      type: 'nominal',
      title: null,
      sort: [...new Set(CURVES.map((c) => c.series))],
      legend: { ...LEGEND, symbolType: 'stroke', symbolSize: 400 },
    },
    detail: { field: 'series' },
  };
  return {
    ...BASE,
    title,
    data: { values },
    facet: { field: 'panel', type: 'nominal', title: null, sort: PANELS },
    columns: PANELS.length,
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 260,
      height: 240,
      layer: [
        {
          mark: { type: 'area', opacity: 0.08, strokeWidth: 0 },
          encoding: { ...encoding, y: { ...quantity('loss', 'nats a token'), aggregate: 'min' }, y2: { field: 'loss', aggregate: 'max' } },
        },
        { mark: { type: 'line', strokeWidth: 1.5 }, encoding: { ...encoding, y: { ...quantity('loss', 'nats a token'), aggregate: 'mean' } } },
      ],
    },
  };
}

/** Plots the final losses of all settings: every seed and their mean. */
function finals(summaries: Summaries): Spec {
  const values: Rows = [...summaries.values()].flatMap((s) =>
    s.outcomes.flatMap(({ seed, heldOut, gap, cost }) =>
      [
        ['held-out loss', heldOut],
        ['growth of the gap', gap],
        ['cost of the run', cost],
      ].map(([panel, value]) => ({ setting: s.name, seed, panel: panel as string, value: value as number })),
    ),
  );
  const y = { field: 'setting', type: 'nominal', title: null, sort: null, axis: { labelLimit: 0 } };
  return {
    ...BASE,
    title: 'At the end of training, every seed and their mean',
    data: { values },
    facet: { field: 'panel', type: 'nominal', title: null, sort: ['held-out loss', 'growth of the gap', 'cost of the run'] },
    resolve: { scale: { x: 'independent' } },
    spec: {
      width: 260,
      height: { step: 14 },
      layer: [
        { mark: { type: 'point', size: 18 }, encoding: { y, x: quantity('value', null) } },
        { mark: { type: 'tick', thickness: 2, color: 'black' }, encoding: { y, x: { ...quantity('value', null), aggregate: 'mean' } } },
      ],
    },
  };
}

/** Plots by rate how far the held-out loss and the growth of the gap lie above those of `none`, with bars from the least to the most of the seeds. */
function byRate(summaries: Summaries, { title, points }: View): Spec {
  const none = summaries.get('none');
  const values: Rows = points.flatMap(({ series, rate, setting }) => {
    const own = summaries.get(setting);
    if (!own || !none) return [];
    return [
      ['held-out loss above that of none', paired(own, none, (o) => o.heldOut).values] as const,
      ['gap above that of none', paired(own, none, (o) => o.gap).values] as const,
    ].flatMap(([panel, list]) => (list.length === 0 ? [] : [{ panel, series, rate, value: mean(list), least: Math.min(...list), most: Math.max(...list) }]));
  });
  const names = [...new Set(points.map((p) => p.series))];
  const encoding = {
    x: { field: 'rate', type: 'ordinal', title: 'rate', axis: { labelAngle: 0 } },
    xOffset: { field: 'series', sort: names },
    color: { field: 'series', type: 'nominal', title: null, sort: names, legend: LEGEND },
  };
  return {
    ...BASE,
    title: `${title}, paired by seed`,
    data: { values },
    facet: { field: 'panel', type: 'nominal', title: null, sort: ['held-out loss above that of none', 'gap above that of none'] },
    resolve: { scale: { y: 'independent' } },
    spec: {
      width: 320,
      height: 220,
      layer: [
        { mark: 'rule', encoding: { ...encoding, y: quantity('least', 'nats a token'), y2: { field: 'most' } } },
        { mark: { type: 'point', filled: true, size: 40 }, encoding: { ...encoding, y: quantity('value', 'nats a token') } },
        { mark: { type: 'rule', color: 'grey', strokeDash: [4, 4] }, encoding: { y: { datum: 0 } } },
      ],
    },
  };
}

/** The plots that there are results for, in files whose names begin with `model`. */
export function evidencePlots(model: string, summaries: Summaries): Plot[] {
  const timed = [...summaries.values()].some((s) => Number.isFinite(s.stepMs));
  const views = VIEWS.filter((v) => v.points.filter((p) => summaries.has(p.setting)).length > 3);
  return [
    { name: `${model}-steps.svg`, spec: curves(summaries, 'Loss against step', 'step', () => 1) },
    ...(timed ? [{ name: `${model}-time.svg`, spec: curves(summaries, 'Loss against time', 'seconds of training', (s) => s.stepMs / 1000) }] : []),
    { name: `${model}-finals.svg`, spec: finals(summaries) },
    ...views.map((view) => ({ name: `${model}-${view.id}.svg`, spec: byRate(summaries, view) })),
  ];
}

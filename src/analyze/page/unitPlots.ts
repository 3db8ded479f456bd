/** @file The plots by unit. */

import * as Plot from '@observablehq/plot';
import { at } from '../../errors.ts';
import type { Figure } from '../../page/browser/card.ts';
import { COLOURS, frame } from '../../page/browser/plot.ts';
import type { AnalyzeReport } from '../report.ts';
import type { Drawn } from './plots.ts';

/** Pixels along the axis that the name of a unit takes. */
const NAME_WIDTH = 26;

/** The kind of a unit is the last part of its name: `attn` for `layers.3.attn`. */
const kindOf = (unit: string): string => at(unit.split('.'), -1);

/** The axis with units in the order of the model. It names every unit, or every n-th where there is no room. */
function unitAxis({ units }: AnalyzeReport, width: number): { readonly x: Plot.ScaleOptions; readonly options: Plot.PlotOptions; readonly axis: Plot.Markish } {
  const every = Math.ceil((units.length * NAME_WIDTH) / Math.max(1, width - 80));
  const shown = units.filter((_, i) => i % every === 0);
  return {
    x: { domain: [...units], axis: null, padding: 0.2 },
    options: { ...frame(width), marginBottom: 84 },
    axis: Plot.axisX(shown, { anchor: 'bottom', tickRotate: -55, label: null, tickSize: 3 }),
  };
}

/** Draws the sensitivity of each unit. */
export function sensitivityPlot({ report, width }: Drawn): Figure {
  const { units, sensitivities, costs } = report;
  const { x, options, axis } = unitAxis(report, width);
  const whole = costs.reduce((a, b) => a + b, 0);
  const rows = units.map((unit, i) => ({ unit, kind: kindOf(unit), value: at(sensitivities, i), cost: at(costs, i) / whole }));
  const kinds = [...new Set(rows.map((r) => r.kind))].slice(0, COLOURS.length);
  return Plot.plot({
    ...options,
    height: 300,
    x,
    y: { label: '↑ sensitivity', grid: true },
    color: { domain: kinds, range: COLOURS.slice(0, kinds.length), legend: kinds.length > 1 && kinds.length < rows.length },
    marks: [
      axis,
      Plot.barY(rows, { x: 'unit', y: 'value', fill: 'kind' }),
      Plot.ruleY([0], { stroke: 'var(--line)' }),
      Plot.tip(
        rows,
        Plot.pointerX({
          x: 'unit',
          y: 'value',
          title: (r) => `${r.unit}\nsensitivity ${r.value.toPrecision(3)}\n${(100 * r.cost).toFixed(1)} % of the backward's FLOPs`,
        }),
      ),
    ],
  });
}

/** Draws the drop rates by unit: a line for each target, and one allocation below the other. */
export function ratesPlot({ report, width }: Drawn): Figure {
  const { x, options, axis } = unitAxis(report, width);
  const rows = report.rates.flatMap(({ rate, allocation, rates }) =>
    (rates ?? []).map((value, i) => ({ unit: at(report.units, i), value, rate: `${rate}`, allocation })),
  );
  const targets = [...new Set(rows.map((r) => r.rate))];
  return Plot.plot({
    ...options,
    height: 420,
    marginRight: 64,
    x,
    fy: { label: null, padding: 0.12 },
    y: { label: '↑ drop rate', grid: true, domain: [0, 1], ticks: 5 },
    color: { domain: targets, range: COLOURS.slice(0, targets.length), legend: true },
    marks: [
      axis,
      Plot.line(rows, { x: 'unit', y: 'value', fy: 'allocation', stroke: 'rate', z: 'rate', strokeOpacity: 0.6 }),
      Plot.dot(rows, { x: 'unit', y: 'value', fy: 'allocation', fill: 'rate', r: 3 }),
      Plot.tip(
        rows,
        Plot.pointer({ x: 'unit', y: 'value', fy: 'allocation', title: (r) => `${r.unit}\n${r.allocation}, target ${r.rate}: ${r.value.toFixed(3)}` }),
      ),
    ],
  });
}

/** Draws the cosine of each unit's gradient with its full one, over the patterns that keep the unit, by rate. It shows one sampling, without weights. */
export function unitFidelityPlot({ report, settings, width }: Drawn, sampling: string): Figure {
  const { x, options, axis } = unitAxis(report, width);
  const rows = settings
    .filter((s) => !s.weights && s.sampling === sampling)
    .flatMap((s) => s.units.flatMap((u, i) => (u && u.cosine !== null ? [{ unit: at(report.units, i), rate: s.rate, cosine: u.cosine, kept: u.kept }] : [])));
  return Plot.plot({
    ...options,
    height: 110 + 34 * new Set(rows.map((r) => r.rate)).size,
    x: { ...x, padding: 0.04 },
    y: { type: 'band', label: 'target rate', padding: 0.06 },
    color: {
      type: 'linear',
      domain: [0, 1],
      range: ['#f4a582', '#2166ac'],
      interpolate: 'rgb',
      clamp: true,
      legend: true,
      label: 'cosine with the full gradient of the unit',
    },
    marks: [
      axis,
      Plot.cell(rows, { x: 'unit', y: 'rate', fill: 'cosine' }),
      Plot.tip(
        rows,
        Plot.pointer({
          x: 'unit',
          y: 'rate',
          title: (r) => `${r.unit} at ${r.rate}\ncosine ${r.cosine.toFixed(3)}\nkept in ${Math.round(100 * r.kept)} % of the patterns`,
        }),
      ),
    ],
  });
}

/** @file What plots share, and the plot of losses. Colours are variables of the page's style. */

import * as Plot from '@observablehq/plot';
import { at } from '../../errors.ts';
import type { Curve, CurvePoint } from '../../run/curve.ts';
import { smoothed } from '../../run/smoothed.ts';
import type { Figure } from './card.ts';

/** The colours of series, in their order. */
export const COLOURS = ['var(--c1)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)', 'var(--c7)', 'var(--c8)'];

/** The options that all plots share. */
export const frame = (width: number, height = 280): Plot.PlotOptions => ({
  width,
  height,
  marginLeft: 56,
  marginBottom: 40,
  style: { background: 'transparent', fontSize: '12px' },
});

interface Row {
  readonly name: string;
  readonly x: number;
  readonly loss: number;
  /** Shown when the pointer is near. */
  readonly title: string;
}

/** What of losses is drawn. */
interface LossPlot {
  readonly curves: readonly Curve[];
  /** In pixels. */
  readonly width: number;
  readonly height?: number;
  readonly by: 'step' | 'seconds';
  /** Names of curves that are left out. */
  readonly hidden?: ReadonlySet<string>;
}

/** Draws the losses of runs by step or by wall time: lines of training, and dots with dashed lines for held-out losses. */
export function lossPlot({ curves, width, height = 300, by, hidden = new Set() }: LossPlot): Figure {
  const shown = curves.filter(({ name }) => !hidden.has(name));
  const place = (point: CurvePoint): string => (by === 'step' ? `step ${point.step}` : `${point.seconds.toFixed(1)} s`);
  const rows = (what: string, of: (curve: Curve) => readonly CurvePoint[]): Row[] =>
    shown.flatMap((curve) =>
      of(curve).map((p) => ({ name: curve.name, x: p[by], loss: p.loss, title: `${curve.name} (${curve.drop})\n${place(p)}: ${what} ${p.loss.toFixed(4)}` })),
    );
  const trained = rows('loss', ({ points }) => {
    const smooth = smoothed(points.map((p) => p.loss));
    return points.map((p, i) => ({ ...p, loss: at(smooth, i) }));
  });
  const heldOut = rows('held-out loss', (curve) => curve.heldOut);
  const names = curves.map((curve) => curve.name);
  const line = { x: 'x', y: 'loss', stroke: 'name', z: 'name' };
  return Plot.plot({
    ...frame(width, height),
    x: { label: by === 'step' ? 'step →' : 'seconds →' },
    y: { label: '↑ loss, means of neighbours', grid: true },
    color: { domain: names, range: names.map((_, i) => at(COLOURS, i % COLOURS.length)), legend: names.length > 1 },
    marks: [
      Plot.line(trained, { ...line, strokeWidth: 1.6 }),
      Plot.line(heldOut, { ...line, strokeWidth: 1.2, strokeDasharray: '4 3' }),
      Plot.dot(heldOut, { x: 'x', y: 'loss', fill: 'var(--panel)', stroke: 'name', strokeWidth: 1.6, r: 3 }),
      Plot.tip([...trained, ...heldOut], Plot.pointer({ x: 'x', y: 'loss', title: 'title' })),
    ],
  });
}

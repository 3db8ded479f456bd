/** @file The plots that compare settings. Each is a function from the report and a width to a figure. Colours are variables of the page's style. */

import * as Plot from '@observablehq/plot';
import type { Figure } from '../../page/browser/card.ts';
import { COLOURS, frame } from '../../page/browser/plot.ts';
import type { AnalyzeReport, SettingReport } from '../report.ts';

/** What a plot is drawn from. */
export interface Drawn {
  readonly report: AnalyzeReport;
  /** The settings that are shown, which have the same spread. */
  readonly settings: readonly SettingReport[];
  /** In pixels. */
  readonly width: number;
}

const percent = (x: number): string => `${Math.round(100 * x)} %`;
const pair = (mean: number, error: number | null, digits = 3): string => `${mean.toFixed(digits)}${error === null ? '' : ` ± ${error.toFixed(digits)}`}`;

/** A bar of one standard error around a mean, or null where the error is not known. */
const around = (mean: number, error: number | null): Point['bar'] => (error === null ? null : [mean - error, mean + error]);

/** A scale that gives each of `domain` its colour. */
const colours = (domain: readonly string[]): Plot.ScaleOptions => ({ domain: [...domain], range: COLOURS.slice(0, domain.length), legend: true });
const samplings = ({ report }: Drawn): string[] => [...new Set(report.settings.map((s) => s.sampling))];
const rateAxis = { label: 'target rate →', ticks: 5 } as const;

/** The point of a setting. */
interface Point {
  readonly setting: SettingReport;
  readonly x: number;
  readonly y: number;
  /** The ends of its bar. Null draws none. */
  readonly bar: readonly [number, number] | null;
  /** Shown when the pointer is near. */
  readonly title: string;
}

/** The marks of settings: a line for each sampling, dashed where they have weights, with bars of one standard error. */
function lines(points: readonly Point[]): Plot.Markish[] {
  const of = (weights: boolean): Point[] => points.filter((p) => p.setting.weights === weights);
  const colour = (p: Point): string => p.setting.sampling;
  return [
    ...[false, true].map((weights) =>
      Plot.line(of(weights), { x: 'x', y: 'y', z: colour, stroke: colour, strokeWidth: 1.6, ...(weights ? { strokeDasharray: '4 3' } : {}) }),
    ),
    Plot.ruleX(
      points.filter((p) => p.bar !== null),
      { x: 'x', y1: (p: Point) => p.bar?.[0], y2: (p: Point) => p.bar?.[1], stroke: colour, strokeOpacity: 0.55 },
    ),
    Plot.dot(of(false), { x: 'x', y: 'y', fill: colour, stroke: colour, r: 3.5 }),
    Plot.dot(of(true), { x: 'x', y: 'y', fill: 'var(--panel)', stroke: colour, strokeWidth: 1.6, r: 3.5 }),
    Plot.tip(points, Plot.pointer({ x: 'x', y: 'y', title: 'title' })),
  ];
}

/** The place of a setting on the axis of rates, shifted a little so that settings at the same rate lie side by side. */
function rateBeside(drawn: Drawn, setting: SettingReport): number {
  const order = samplings(drawn);
  return setting.rate + 0.008 * (order.indexOf(setting.sampling) - (order.length - 1) / 2) + (setting.weights ? 0.004 : 0);
}

/** Draws progress a second by rate. */
export function gainPlot(drawn: Drawn): Figure {
  const points = drawn.settings.map((setting): Point => {
    const { mean, error } = setting.gain;
    return {
      setting,
      x: rateBeside(drawn, setting),
      y: mean,
      bar: around(mean, error),
      title: `${setting.name}\n${pair(mean, error, 2)} times the progress a second`,
    };
  });
  return Plot.plot({
    ...frame(drawn.width),
    x: { ...rateAxis, domain: [0, 1] },
    y: { label: '↑ progress a second, full steps = 1', grid: true, zero: true },
    color: colours(samplings(drawn)),
    marks: [Plot.ruleY([1], { stroke: 'var(--muted)', strokeDasharray: '2 3' }), Plot.dot([[0, 1]], { fill: 'currentColor', r: 4 }), ...lines(points)],
  });
}

/** Draws the cosine with the full gradient against the time that is saved. */
export function fidelityPlot(drawn: Drawn): Figure {
  const full = drawn.report.none.time.ms;
  const points = drawn.settings.map((setting): Point => {
    const { mean, error } = setting.cosine;
    const saved = 1 - setting.time.ms / full;
    return { setting, x: saved, y: mean, bar: around(mean, error), title: `${setting.name}\nsaves ${percent(saved)} of a step\ncosine ${pair(mean, error)}` };
  });
  return Plot.plot({
    ...frame(drawn.width),
    x: { label: 'time saved of a step →', tickFormat: percent },
    y: { label: '↑ cosine with the full gradient', grid: true, domain: [Math.min(0, ...points.map((p) => p.y)), 1] },
    color: colours(samplings(drawn)),
    marks: [
      Plot.dot([[0, 1]], { fill: 'currentColor', r: 4 }),
      ...lines(points),
      Plot.text(
        points.filter((p) => !p.setting.weights && p.setting.sampling === samplings(drawn).at(-1)),
        { x: 'x', y: 'y', text: (p: Point) => `${p.setting.rate}`, dy: -10, fill: 'var(--muted)' },
      ),
    ],
  });
}

const root = (x: number): number => Math.sqrt(Math.max(0, x));

/** Draws the bias ‖E g′ − g‖/‖g‖ by rate, with bars of one standard error of its square. */
export function biasPlot(drawn: Drawn): Figure {
  const points = drawn.settings.map((setting): Point => {
    const { mean, error } = setting.biasSquared;
    const y = root(mean);
    return {
      setting,
      x: rateBeside(drawn, setting),
      y,
      bar: error === null ? null : [root(mean - error), root(mean + error)],
      title: `${setting.name}\nbias ${y.toFixed(3)}\nsquared ${pair(mean, error, 4)}`,
    };
  });
  return Plot.plot({
    ...frame(drawn.width),
    x: { ...rateAxis, domain: [0, 1] },
    y: { label: '↑ bias, by the norm of the full gradient', grid: true, zero: true },
    color: colours(samplings(drawn)),
    marks: lines(points),
  });
}

/** Draws the noise √E‖g′ − E g′‖²/‖g‖ by rate, on a logarithmic scale. */
export function noisePlot(drawn: Drawn): Figure {
  const points = drawn.settings.flatMap((setting): Point[] => {
    const { mean, error } = setting.variance;
    if (mean <= 0) return [];
    const y = root(mean);
    return [{ setting, x: rateBeside(drawn, setting), y, bar: null, title: `${setting.name}\nnoise ${y.toFixed(3)}\nsquared ${pair(mean, error, 4)}` }];
  });
  return Plot.plot({
    ...frame(drawn.width),
    x: { ...rateAxis, domain: [0, 1] },
    y: { label: '↑ noise of the patterns, by the norm of the full gradient', grid: true, type: 'log', tickFormat: (x: number) => `${x}`, ticks: 5 },
    color: colours(samplings(drawn)),
    marks: [Plot.ruleY([1], { stroke: 'var(--muted)', strokeDasharray: '2 3' }), ...lines(points)],
  });
}

const unweighted = ({ settings }: Drawn): SettingReport[] => settings.filter((s) => !s.weights);

/** Draws the milliseconds of a step by rate, measured and predicted from FLOPs. */
export function timePlot(drawn: Drawn): Figure {
  const { none } = drawn.report;
  const rows = unweighted(drawn);
  const title = (s: SettingReport): string =>
    `${s.name}\n${s.time.ms.toFixed(1)} ms measured, median ${s.time.medianMs.toFixed(1)}\n${s.time.predictedMs.toFixed(1)} ms by FLOPs`;
  const x = (s: SettingReport): number => rateBeside(drawn, s);
  return Plot.plot({
    ...frame(drawn.width),
    x: { ...rateAxis, domain: [0, 1] },
    y: { label: '↑ ms a step', grid: true, zero: true },
    color: colours(samplings(drawn)),
    marks: [
      Plot.ruleY([none.time.ms], { stroke: 'var(--muted)', strokeDasharray: '2 3' }),
      Plot.line(rows, { x, y: (s: SettingReport) => s.time.predictedMs, z: 'sampling', stroke: 'sampling', strokeDasharray: '2 3' }),
      Plot.dot([[0, none.time.ms]], { fill: 'currentColor', r: 4 }),
      Plot.dot(rows, { x, y: (s: SettingReport) => s.time.ms, fill: 'sampling', r: 4 }),
      Plot.tip(rows, Plot.pointer({ x, y: (s: SettingReport) => s.time.ms, title })),
    ],
  });
}

const MEBI = 2 ** 20;

/** Draws the bytes of a run by rate: planned for its worst pattern, and taken by the steps that were timed. */
export function memoryPlot(drawn: Drawn): Figure {
  const { none } = drawn.report;
  const rows = unweighted(drawn);
  const x = (s: SettingReport): number => rateBeside(drawn, s);
  const title = (s: SettingReport): string =>
    `${s.name}\n${(s.memory.plannedBytes / MEBI).toFixed(1)} MiB planned for its worst pattern\n${(s.memory.usedBytes / MEBI).toFixed(1)} MiB taken at most`;
  return Plot.plot({
    ...frame(drawn.width),
    x: { ...rateAxis, domain: [0, 1] },
    y: { label: '↑ MiB', grid: true, zero: true },
    color: colours(samplings(drawn)),
    marks: [
      Plot.ruleY([none.memory.plannedBytes / MEBI], { stroke: 'var(--muted)', strokeDasharray: '2 3' }),
      Plot.line(rows, { x, y: (s: SettingReport) => s.memory.plannedBytes / MEBI, z: 'sampling', stroke: 'sampling', strokeDasharray: '2 3' }),
      Plot.dot([[0, none.memory.usedBytes / MEBI]], { fill: 'currentColor', r: 4 }),
      Plot.dot(rows, { x, y: (s: SettingReport) => s.memory.usedBytes / MEBI, fill: 'sampling', r: 4 }),
      Plot.tip(rows, Plot.pointer({ x, y: (s: SettingReport) => s.memory.usedBytes / MEBI, title })),
    ],
  });
}

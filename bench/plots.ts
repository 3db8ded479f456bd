/** @file The page's plots as Vega-Lite specs; bench/peers/plot.mjs draws them. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Results } from './report.ts';
import { summarise } from './sections/dropbp.ts';
import { minimum } from './stats.ts';

type Spec = Readonly<Record<string, unknown>>;
const BASE: Spec = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white' };
const CONTESTANT = { field: 'contestant', type: 'nominal', title: null, sort: null };

/** Bars of matmul throughput, a group a size. */
function matmulPlot({ matmul }: Results): Spec {
  return {
    ...BASE,
    title: 'Matmul, GFLOP/s (longer is faster)',
    data: { values: matmul.map((r) => ({ contestant: r.contestant, size: r.size, gflops: r.flops / minimum(r.ms) / 1e6 })) },
    mark: 'bar',
    height: { step: 14 },
    encoding: {
      y: { ...CONTESTANT, axis: { labels: true } },
      x: { field: 'gflops', type: 'quantitative', title: null, scale: { type: 'log', domainMin: 0.1 } },
      color: { ...CONTESTANT, legend: null },
      row: { field: 'size', type: 'nominal', title: null, sort: null, header: { labelAngle: 0, labelAlign: 'left' } },
    },
  };
}

/** Bars of the fastest step and of the first, a group a model. */
function stepPlot({ step }: Results): Spec {
  const values = step.flatMap((r) => [
    { contestant: r.contestant, model: r.model, what: 'step', ms: minimum(r.steps.map((s) => s.ms)) },
    { contestant: r.contestant, model: r.model, what: 'first step', ms: r.firstMs },
  ]);
  return {
    ...BASE,
    title: 'Training step, milliseconds (shorter is faster)',
    data: { values },
    mark: 'bar',
    height: { step: 14 },
    encoding: {
      y: CONTESTANT,
      x: { field: 'ms', type: 'quantitative', title: null, scale: { type: 'log', domainMin: 10 } },
      color: { ...CONTESTANT, legend: null },
      row: { field: 'model', type: 'nominal', title: null, header: { labelAngle: 0, labelAlign: 'left' } },
      column: { field: 'what', type: 'nominal', title: null, sort: null },
    },
  };
}

/** Speed-up over the rate of dropping, with what the FLOPs promise dashed. */
function dropPlot({ dropbp }: Results): Spec {
  const values = summarise(dropbp).flatMap((s) => {
    const panel = `${s.model} ${s.lora > 0 ? 'LoRA' : 'full'}`;
    return [
      { panel, contestant: s.contestant, rate: s.rate, value: s.speedUp, what: 'measured' },
      { panel, contestant: s.contestant, rate: s.rate, value: s.ideal, what: 'ideal' },
    ];
  });
  return {
    ...BASE,
    title: 'DropBP: speed-up over the rate of dropping',
    data: { values },
    facet: { field: 'panel', type: 'nominal', title: null },
    columns: 2,
    spec: {
      width: 260,
      height: 180,
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'rate', type: 'quantitative', title: 'p' },
        y: { field: 'value', type: 'quantitative', title: 'speed-up', scale: { zero: false } },
        color: CONTESTANT,
        strokeDash: { field: 'what', type: 'nominal', title: null, sort: ['measured', 'ideal'] },
      },
    },
  };
}

/** Draws the plots of what was measured into `folder`. Returns their files' names. @throws Error with what the plotting library said */
export function drawPlots(results: Results, folder: string): string[] {
  const wanted = [
    ['matmul.svg', results.matmul.length > 0, matmulPlot],
    ['step.svg', results.step.length > 0, stepPlot],
    ['dropbp.svg', results.dropbp.length > 0, dropPlot],
  ] as const;
  const plots = wanted.flatMap(([file, there, plot]) => (there ? [{ name: file, file: `${folder}/${file}`, spec: plot(results) }] : []));
  const script = fileURLToPath(new URL('peers/plot.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script], { input: JSON.stringify(plots), encoding: 'utf8' });
  if (status !== 0) throw new Error(`the plots could not be drawn: ${stderr}`);
  return plots.map((p) => p.name);
}

/** @file The plots of the page, as Vega-Lite specifications. */

import type { Results } from './report.ts';
import { summarise } from './sections/dropbp.ts';
import { minimum } from './stats.ts';
import { BASE, drawSpecs, type Spec } from './vega.ts';

const CONTESTANT = { field: 'contestant', type: 'nominal', title: null, sort: null };

/** A bar of a plot. */
interface Bar {
  readonly contestant: string;
  /** The panel that it stands in. Rows and columns of panels are in the order in which they first occur. */
  readonly row: string;
  readonly column: string;
  readonly value: number;
}

/** A plot of bars, each with its number, on a logarithmic axis that begins at `from`. */
function bars(title: string, values: readonly Bar[], from: number): Spec {
  const panel = (field: 'row' | 'column'): Spec => ({ field, type: 'nominal', title: null, sort: [...new Set(values.map((v) => v[field]))] });
  const x = { field: 'value', type: 'quantitative', title: null, scale: { type: 'log', domainMin: from } };
  const header = { labelAngle: 0, labelAlign: 'left' };
  return {
    ...BASE,
    title,
    data: { values },
    facet: { row: { ...panel('row'), header }, column: panel('column') },
    spec: {
      width: 260,
      height: { step: 16 },
      encoding: { y: CONTESTANT },
      layer: [
        { mark: 'bar', encoding: { x, x2: { datum: from }, color: { ...CONTESTANT, legend: null } } },
        { mark: { type: 'text', align: 'left', dx: 3, fontSize: 9 }, encoding: { x, text: { field: 'value', format: ',.3~r' } } },
      ],
    },
  };
}

function matmulPlot({ matmul }: Results): Spec {
  const values = matmul.map((r) => ({ contestant: r.contestant, row: r.size, column: 'best of the rounds', value: r.flops / minimum(r.ms) / 1e6 }));
  return bars('Matmul, GFLOP/s (longer is faster)', values, 0.1);
}

function stepPlot({ step }: Results): Spec {
  const values = step.flatMap((r) => [
    { contestant: r.contestant, row: r.model, column: 'step', value: minimum(r.steps.map((s) => s.ms)) },
    { contestant: r.contestant, row: r.model, column: 'first step', value: r.firstMs },
  ]);
  return bars('Training step, milliseconds (shorter is faster)', values, 10);
}

/** The speed-up by rate, and dashed the speed-up that the FLOPs promise. */
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
        strokeDash: { field: 'what', type: 'nominal', title: null, sort: ['measured', 'ideal'], legend: { symbolType: 'stroke', symbolStrokeColor: 'black' } },
      },
    },
  };
}

/** Draws the plots of what was measured into `folder`. Returns the names of their files. @throws Error with the message of the plotting library */
export function drawPlots(results: Results, folder: string): string[] {
  const wanted = [
    ['matmul.svg', results.matmul.length > 0, matmulPlot],
    ['step.svg', results.step.length > 0, stepPlot],
    ['dropbp.svg', results.dropbp.length > 0, dropPlot],
  ] as const;
  return drawSpecs(
    wanted.flatMap(([name, there, plot]) => (there ? [{ name, spec: plot(results) }] : [])),
    folder,
  );
}

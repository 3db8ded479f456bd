/** @file Writes the page of the benchmark. */

import type { Options } from './options.ts';
import type { About } from './protocol.ts';
import { type DropResult, dropTable, summarise } from './sections/dropbp.ts';
import { type MatmulResult, matmulTable } from './sections/matmul.ts';
import { type StepResult, stepTable } from './sections/step.ts';
import { modelSpec, SPEC } from './spec.ts';

/** Everything that was measured so far. */
export interface Results {
  /** The description of the machine, in lines. */
  readonly machine: readonly string[];
  readonly options: Pick<Options, 'rounds' | 'patterns'>;
  readonly matmul: MatmulResult[];
  readonly step: StepResult[];
  readonly dropbp: DropResult[];
  /** The contestants that failed, with the table, and the reason. */
  readonly failed: [which: string, why: string][];
  /** The contestants that could not take part at all, and the reason. */
  readonly absent: [name: string, why: string][];
  /** The library and the device of each contestant, by its name. */
  readonly about: Record<string, About>;
}

/** Writes everything that was measured as Markdown. @param plots the files in `folder` */
export function page(results: Results, plots: readonly string[], folder: string): string {
  const image = (file: string): string[] => (plots.includes(file) ? [`![${file.replace('.svg', '')}](${folder}/${file})`, ''] : []);
  return [
    '# Performance',
    '',
    'Written by `npm run bench` ([bench/README.md](../bench/README.md) says how it measures). All contestants in one run, taking turns.',
    '',
    ...results.machine.map((line) => `- ${line}`),
    ...Object.entries(results.about).map(([name, { library, device }]) => `- ${name}: ${library}; on ${device}`),
    ...[...results.absent, ...results.failed].map(([name, why]) => `- ${name} was left out: ${why.split('\n')[0]}`),
    '',
    ...sections(results, image),
  ].join('\n');
}

function sections({ matmul, step, dropbp, options: { rounds, patterns } }: Results, image: (file: string) => string[]): string[] {
  const lines: string[] = [];
  if (matmul.length > 0)
    lines.push(
      '## Matmul',
      '',
      `f32, [m,k] times [k,n], every product checked against f64; ${rounds} rounds.`,
      '',
      matmulTable(matmul),
      '',
      ...image('matmul.svg'),
    );
  if (step.length > 0)
    lines.push('## Training step', '', models([...new Set(step.map((s) => s.model))]), '', stepTable(step), '', STEP_NOTES, '', ...image('step.svg'));
  if (dropbp.length > 0)
    lines.push(
      '## DropBP',
      '',
      `${patterns} sampled patterns a rate, the same for all. ${DROP_NOTES}`,
      '',
      dropTable(summarise(dropbp)),
      '',
      ...image('dropbp.svg'),
    );
  return lines;
}

function models(names: readonly string[]): string {
  const one = (name: string): string => {
    const { vocab, dim, heads, layers, ffn, batch, seq } = modelSpec(name);
    return `${name}: vocabulary ${vocab}, hidden ${dim}, ${heads} heads, ${layers} layers, FFN ${ffn}, batch ${batch} × ${seq}`;
  };
  return `Llama in f32, all parameters trained by AdamW (lr ${SPEC.adamw.lr}). ${names.map(one).join('; ')}. The first four losses of all contestants agree to 0.0001.`;
}

const STEP_NOTES =
  'Minimum and median of steps in turns; of steps shorter than 50 ms, four are done in a turn and the quickest counts. GFLOP/s: products and attention of forward and twice that of backward, the same count for all, over the minimum. First step: from an open device and weights in files to the first loss, tracing and compiling included, no tuning, driver caches off, the quicker of two. Dispatches, JS time (of a processor in the main thread, preparing and submitting a step, minimum) and the bytes saved from forward to backward where the contestant tells.';

const DROP_NOTES =
  'Speed-up: mean time of steps that drop nothing over the mean time at p, steps of all rates in turns, each done twice and the quicker counted; ideal: the same of FLOPs, as those patterns leave them (Ebb counts what it ran; for PyTorch they are computed). Median of patterns: the speed-up of a pattern in its turn over the ideal of that pattern; one disturbed step does not move it. The line p = 0 is a second set of steps that drop nothing: what it is off 1 is noise.';

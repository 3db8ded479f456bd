/** @file The page about memory: activation bytes and longest sequences by drop rate, as `ebb plan` gives them. Nothing is trained. */

import { at, invariant } from '../../src/errors.ts';
import { type DropPlanConfig, type PlanReport, plan } from '../../src/index.ts';
import type { CommandDevice } from '../../src/node/device.ts';
import { shown, table } from '../table.ts';
import { BASE, type Plot, type Spec } from '../vega.ts';
import { SAMPLING } from './settings.ts';
import type { Subject } from './subjects.ts';
import { configOf } from './workbench.ts';

/** The plans of one model. */
export interface MemoryResult {
  readonly name: string;
  readonly batch: number;
  readonly length: number;
  /** By rate: the bytes that are kept from forward to backward (mean and worst of a run's patterns), and the bytes of the whole stack (worst). */
  readonly rates: readonly { readonly rate: number; readonly savedMean: number; readonly savedWorst: number; readonly stackWorst: number }[];
  /** The bytes of all device memory of the run without dropping. They are the budget of the longest sequences. */
  readonly budget: number;
  readonly longest: NonNullable<PlanReport['longest']>;
}

const RATES = [0, 0.25, 0.5, 0.75, 0.875];
const STEPS = 300;

const dropOf = (rate: number): DropPlanConfig => (rate === 0 ? { kind: 'none' } : { kind: 'uniform', rate, sampling: SAMPLING });

/** Plans the runs of a model at all rates. */
export async function planSubject(subject: Subject, device: CommandDevice): Promise<MemoryResult> {
  const length = subject.memoryLength;
  const configAt = (rate: number) => ({ ...configOf(subject, { drop: dropOf(rate), seed: 1, out: 'unused', steps: STEPS }), length });
  const rates: MemoryResult['rates'][number][] = [];
  for (const rate of RATES) {
    const { worst, mean } = (await plan({ ...configAt(rate), device })).memory;
    rates.push({ rate, savedMean: mean.savedBytes, savedWorst: worst.savedBytes, stackWorst: worst.stackBytes });
  }
  const { total: budget } = (await plan({ ...configAt(0), device })).memory;
  const { longest } = await plan({ ...configAt(0), memoryBudget: budget, device });
  invariant(longest, 'a plan with a budget does not give the longest sequences');
  return { name: subject.name, batch: configAt(0).batch, length, rates, budget, longest };
}

const MIB = 2 ** 20;

function modelText({ name, batch, length, rates, budget, longest }: MemoryResult): string[] {
  const whole = at(rates, 0).savedMean;
  return [
    `## ${name}`,
    '',
    `Batch ${batch} × ${length} tokens, draws of fixed budget, ${STEPS} steps' patterns. MiB.`,
    '',
    table(
      ['rate', 'saved, mean', 'of none', 'saved, worst pattern', 'with scratch, worst'],
      rates.map((r) => [
        String(r.rate),
        shown(r.savedMean / MIB, 2),
        `${shown((100 * r.savedMean) / whole)} %`,
        shown(r.savedWorst / MIB, 2),
        shown(r.stackWorst / MIB, 2),
      ]),
    ),
    '',
    `Longest sequences at batch ${longest.batch} within ${shown(budget / MIB, 1)} MiB of device memory in all, what the run above takes with nothing dropped; in steps of ${longest.within} tokens.`,
    '',
    table(
      ['rate', 'all saved', 'forwards may run again'],
      longest.rates.map((r) => [String(r.rate), shown(r.saving), shown(r.again)]),
    ),
    '',
    `![${name}](memory-${name}.svg)`,
    '',
  ];
}

/** Writes the page. */
export function memoryPage(results: readonly MemoryResult[], about: readonly string[]): string {
  return ['# Memory against drop rate', '', ...about.flatMap((line) => [line, '']), ...results.flatMap(modelText)].join('\n');
}

export const memoryPlots = (results: readonly MemoryResult[]): Plot[] => results.map((r) => ({ name: `memory-${r.name}.svg`, spec: memorySpec(r) }));

function memorySpec({ name, rates, longest }: MemoryResult): Spec {
  const line = (title: string, values: Spec[]): Spec => ({
    width: 260,
    height: 200,
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'rate', type: 'quantitative', title: 'rate' },
      y: { field: 'value', type: 'quantitative', title },
      color: { field: 'what', type: 'nominal', title: null, sort: null },
    },
  });
  return {
    ...BASE,
    title: name,
    resolve: { scale: { color: 'independent' } },
    hconcat: [
      line(
        'saved from forward to backward, MiB',
        rates.flatMap(({ rate, savedMean, savedWorst }) => [
          { rate, what: 'mean', value: savedMean / MIB },
          { rate, what: 'worst pattern', value: savedWorst / MIB },
        ]),
      ),
      line(
        'longest sequence, tokens',
        longest.rates.flatMap(({ rate, saving, again }) => [
          { rate, what: 'all saved', value: saving },
          { rate, what: 'forwards may run again', value: again },
        ]),
      ),
    ],
  };
}

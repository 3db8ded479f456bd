/** @file The report of `ebb analyze` as text for a terminal. */

import type { Estimate } from '../dropbp/fidelity/estimate.ts';
import { at } from '../errors.ts';
import type { AnalyzeReport, SettingReport } from './report.ts';

const mebi = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)}`;
const shown = ({ mean, error }: Estimate, digits = 3): string => `${mean.toFixed(digits)}${error === null ? '' : ` ±${error.toFixed(digits)}`}`;

/** A table whose columns are as wide as their contents. The first column is aligned to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((row) => at(row, i).length)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((c, i) => (i === 0 ? c.padEnd(at(widths, i)) : c.padStart(at(widths, i)))).join('  ')}`.trimEnd();
  return [line(head), ...rows.map(line)];
}

/** A bias as text. One within two standard errors of 0 is given as an upper bound. */
function biasText({ mean, error }: Estimate): string {
  const bias = Math.sqrt(Math.max(0, mean));
  if (error === null) return bias.toFixed(3);
  return mean > 2 * error ? bias.toFixed(3) : `< ${Math.sqrt(Math.max(0, mean) + 2 * error).toFixed(3)}`;
}

/** The table of units, and below it the targets that no rates reach. */
function unitRows({ units, sensitivities, costs, rates }: AnalyzeReport): string[] {
  const whole = costs.reduce((a, b) => a + b, 0);
  const found = rates.flatMap((r) => (r.rates === null ? [] : [{ name: `${r.rate} ${r.allocation}`, rates: r.rates }]));
  const head = ['unit', 'sensitivity', 'cost', ...found.map((r) => r.name)];
  const rows = units.map((unit, i) => [
    unit,
    at(sensitivities, i).toPrecision(3),
    `${((100 * at(costs, i)) / whole).toFixed(1)} %`,
    ...found.map((r) => at(r.rates, i).toFixed(2)),
  ]);
  return [...table(head, rows), ...rates.filter((r) => r.refused !== null).map((r) => `  ${r.rate} ${r.allocation}: ${r.refused}`)];
}

/** The cells of a setting. */
const settingRow = ({ name, time, memory, cosine, biasSquared, variance, progress, gain }: SettingReport): readonly string[] => [
  name,
  time.ms.toFixed(1),
  time.predictedMs.toFixed(1),
  mebi(memory.usedBytes),
  mebi(memory.plannedBytes),
  shown(cosine),
  biasText(biasSquared),
  shown(variance, 2),
  progress ? shown(progress) : '',
  shown(gain, 2),
];

/** Writes the report as text. */
export function analyzeText(report: AnalyzeReport): string {
  const { model, data, device, run, units, sizes, none, settings, recommendation, notes, runs } = report;
  const full = ['nothing dropped', none.time.ms.toFixed(1), none.time.predictedMs.toFixed(1), mebi(none.memory.usedBytes), mebi(none.memory.plannedBytes)];
  const agreement = recommendation.agreement ? shown(recommendation.agreement) : '';
  return [
    `${model} on ${data}: ${units.length} units; on ${device}`,
    `  ${Object.entries(run)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')}`,
    `recommended: ${recommendation.reason}`,
    ...recommendation.caveats.map((caveat) => `  but: ${caveat}`),
    ...notes.map((note) => `note: ${note}`),
    `units: sensitivity, share of the backward's FLOPs, drop rate by target and allocation`,
    ...unitRows(report),
    `settings: ${sizes.batches} batches, ${sizes.patterns} patterns each; ms and MiB as measured and as predicted; gradients against the full one of the same`,
    `batch: cosine, bias and variance by its norm and its square; cosine with the full gradients of other batches; progress a second`,
    ...table(
      ['', 'ms', 'by FLOPs', 'MiB', 'planned', 'cosine', 'bias', 'variance', 'others', 'gain'],
      [[...full, '1.000', '0', '0', agreement, '1.00'], ...settings.map(settingRow)],
    ),
    ...(runs.length === 0 ? [] : ['runs: loss at the end', ...runs.map((r) => `  ${r.name} (${r.drop}): ${r.points.at(-1)?.loss.toFixed(4) ?? 'no steps'}`)]),
  ].join('\n');
}

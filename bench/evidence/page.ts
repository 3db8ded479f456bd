/** @file The page of one model: tables of the results of its runs. */

import { shown, table } from '../table.ts';
import type { Results } from './results.ts';
import { paired, probeShare, type Spread, type Summary, spread, summarise } from './summary.ts';
import { PAIRS, VIEWS, type View } from './views.ts';

type Summaries = ReadonlyMap<string, Summary>;

/** Writes a mean and, where there are several seeds, their standard deviation. */
const spreadText = ({ mean, deviation }: Spread, digits = 3): string =>
  Number.isFinite(deviation) ? `${shown(mean, digits)} ± ${shown(deviation, digits)}` : shown(mean, digits);

/** Writes a difference with its sign. */
const signed = (s: Spread): string => `${s.mean > 0 ? '+' : ''}${spreadText(s)}`;

const HEAD = ['setting', 'seeds', 'cost', 'saved', 'ms a step', 'held-out', 'training data', 'gap grew by', 'held-out − none'];

/** The cells of a setting. */
function settingRow(s: Summary, none: Summary | undefined): string[] {
  const of = (pick: (o: Summary['outcomes'][number]) => number): Spread => spread(s.outcomes.map(pick));
  const percent = (value: number): string => (Number.isFinite(value) ? `${shown(100 * value)} %` : shown(value));
  const failed = s.runs.length - s.outcomes.length;
  return [
    s.name,
    failed > 0 ? `${s.outcomes.length} of ${s.runs.length}` : String(s.runs.length),
    percent(of((o) => o.cost).mean),
    percent(of((o) => o.saved).mean),
    shown(s.stepMs),
    spreadText(of((o) => o.heldOut)),
    spreadText(of((o) => o.train)),
    spreadText(of((o) => o.gap)),
    none && none !== s ? signed(paired(s, none, (o) => o.heldOut)) : '–',
  ];
}

/** The keys of plans whose names do not give their numbers. */
function plansText(rows: readonly Summary[]): string[] {
  const plans = rows.flatMap(({ name, runs }) => {
    const [drop] = runs.map((r) => r.drop);
    if (!drop || ['none', 'uniform', 'dropbp'].includes(drop.kind)) return [];
    const keys = Object.entries(drop).flatMap(([key, value]) => (typeof value === 'number' ? [`${key} ${Number(value.toFixed(3))}`] : []));
    return [`\`${name}\` ${keys.join(', ')}`];
  });
  return plans.length > 0 ? [`${plans.join('; ')}.`, ''] : [];
}

const namesIn = ({ points, also }: View): string[] => [...also, ...points.map((p) => p.setting)];

/** The views that show a setting which no view before them shows. With few settings, other views would compare the same ones again. */
export function viewsWorthShowing(known: (setting: string) => boolean): View[] {
  const shown = new Set<string>();
  return VIEWS.filter((view) => {
    const fresh = namesIn(view).filter((name) => known(name) && !shown.has(name));
    for (const name of fresh) shown.add(name);
    return fresh.length > 0;
  });
}

/** The part of the page for a view, or nothing where there are not two settings to compare. */
function viewText(summaries: Summaries, view: View, image: string | undefined): string[] {
  const { title, text } = view;
  const rows = namesIn(view).flatMap((name) => summaries.get(name) ?? []);
  if (rows.length < 2) return [];
  const none = summaries.get('none');
  return [
    `## ${title}`,
    '',
    text,
    '',
    table(
      HEAD,
      rows.map((s) => settingRow(s, none)),
    ),
    '',
    ...plansText(rows),
    ...(image ? [`![${title}](${image})`, ''] : []),
  ];
}

/** The table of pairs of settings. */
function pairsText(summaries: Summaries): string[] {
  const rows = PAIRS.flatMap(({ question, a, b }): string[][] => {
    const [one, other] = [summaries.get(a), summaries.get(b)];
    if (!one || !other) return [];
    const heldOut = paired(one, other, (o) => o.heldOut);
    if (heldOut.values.length === 0) return [];
    const better = heldOut.values.filter((v) => v < 0).length;
    return [[question, a, b, signed(heldOut), `${better} of ${heldOut.values.length}`, signed(paired(one, other, (o) => o.gap))]];
  });
  if (rows.length === 0) return [];
  return [
    '## Side by side',
    '',
    'First minus second, seed by seed: the same seed gives both the same batches in the same order. Below zero the first is better.',
    '',
    table(['question', 'first', 'second', 'held-out', 'first better in', 'growth of the gap'], rows),
    '',
  ];
}

/** The table of what measuring sensitivities takes. */
function probeText(summaries: Summaries, times: Results['times']): string[] {
  const percent = (value: number): string => (Number.isFinite(value) ? `${shown(100 * value, 2)} %` : shown(value));
  const rows = [...summaries.values()].flatMap((s) => {
    const share = probeShare(s, times);
    return share ? [[s.name, percent(share.flops), percent(share.official), percent(share.time)]] : [];
  });
  if (rows.length === 0) return [];
  return [
    '## What measuring sensitivities takes',
    '',
    'Share of the whole run, in FLOPs as counted; where every unit had a forward and backward of its own, as the reference code does it; and in time, where it was measured.',
    '',
    table(['setting', 'FLOPs', 'by the reference’s way', 'time'], rows),
    '',
  ];
}

/** What the page is made from. */
export interface PageParts {
  readonly title: string;
  /** Paragraphs on the runs and their data. */
  readonly about: readonly string[];
  /** Remarks that a person wrote about the numbers, or null. */
  readonly notes: string | null;
  readonly results: Results;
  /** The file names of the plots. */
  readonly images: readonly string[];
}

const LEGEND =
  'Losses are nats a token with nothing dropped, at the end; ± is the standard deviation over seeds. *Cost*: FLOPs of the run, forward and backward, by those of `none` with the same seed. *Saved*: bytes kept from forward to backward in the mean step, likewise. *Gap*: held-out loss minus loss on as many training examples; since the two sets differ before training already, its growth is what says something about overfitting.';

const TIME =
  '*ms a step*: steps of all settings in turns on a quiet machine, each pattern twice and the faster taken; milliseconds a FLOP of a setting’s patterns times the FLOPs of its runs’ mean step. Time in plots is steps × that.';

/** Writes the page. */
export function pageText({ title, about, notes, results, images }: PageParts): string {
  const summaries = summarise(results);
  const image = (id: string): string | undefined => images.find((file) => file.endsWith(`-${id}.svg`));
  const figures = ['steps', 'time', 'finals'].flatMap((id) => (image(id) ? [`![${id}](${image(id)})`, ''] : []));
  const failures = results.runs.flatMap((r) => (r.failed === undefined ? [] : [`- ${r.setting}, seed ${r.seed}: ${r.failed}`]));
  return [
    `# ${title}`,
    '',
    ...about.flatMap((line) => [line, '']),
    ...(notes === null ? [] : [notes.trim(), '']),
    results.times ? `${LEGEND} ${TIME}` : LEGEND,
    '',
    ...figures,
    ...viewsWorthShowing((name) => summaries.has(name)).flatMap((view) => viewText(summaries, view, image(view.id))),
    ...pairsText(summaries),
    ...probeText(summaries, results.times),
    ...(failures.length > 0 ? ['## Runs that failed', '', ...failures, ''] : []),
  ].join('\n');
}

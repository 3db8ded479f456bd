/** @file The page of `ebb analyze --html`: the recommendation, then what it rests on. Plots follow the width of the window. */

import { el } from '../../page/browser/dom.ts';
import { themeButton } from '../../page/browser/theme.ts';
import type { AnalyzeReport } from '../report.ts';
import { biasPlot, type Drawn, type Figure, fidelityPlot, gainPlot, memoryPlot, noisePlot, timePlot } from './plots.ts';
import { settingsTable } from './table.ts';
import { lossPlot, ratesPlot, sensitivityPlot, unitFidelityPlot } from './unitPlots.ts';

const report: AnalyzeReport = JSON.parse(document.getElementById('data')?.textContent ?? '{}');
const spreads = [...new Set(report.settings.map((s) => s.spread))];
const samplings = [...new Set(report.settings.map((s) => s.sampling))];
/** What is looked at: the spread and sampling of what is recommended, at first. */
const recommended = report.settings.find((s) => s.name === report.recommendation.name);
let spread = recommended?.spread ?? spreads[0] ?? '';
let sampling = recommended?.sampling ?? samplings[0] ?? '';

type Draw = (drawn: Drawn) => Figure;
const redraws: (() => void)[] = [];
const redraw = (): void => {
  for (const draw of redraws) draw();
};

/** A plot in its card; it is drawn anew where its width changes. */
function card(title: string, text: string, draw: Draw, wide = false): HTMLElement {
  const holder = el('div', { class: 'plot' });
  let width = 0;
  const again = (): void => {
    if (width > 0) holder.replaceChildren(draw({ report, width, settings: report.settings.filter((s) => s.spread === spread) }));
  };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry?.contentRect.width ?? 0);
    if (now === width) return;
    width = now;
    again();
  }).observe(holder);
  redraws.push(again);
  return el('section', { class: wide ? 'card wide' : 'card' }, el('h2', {}, title), el('p', {}, text), holder);
}

/** A choice of one, where there are several. */
function choice(label: string, options: readonly string[], chosen: string, choose: (option: string) => void): HTMLElement | null {
  if (options.length < 2) return null;
  const radios = options.map((option) => {
    const change = (): void => {
      choose(option);
      redraw();
    };
    const radio = el('input', { type: 'radio', name: label, value: option, onchange: change });
    radio.checked = option === chosen;
    return el('label', {}, radio, el('span', {}, option));
  });
  return el('div', { class: 'choice', role: 'radiogroup', 'aria-label': label }, el('span', {}, label), ...radios);
}

function tile(value: string, label: string): HTMLElement {
  return el('div', { class: 'tile' }, el('strong', {}, value), el('span', {}, label));
}

function verdict(): HTMLElement {
  const { recommendation, none } = report;
  const { name, reason, caveats, agreement, worths } = recommendation;
  const worth = worths.find((w) => w.name === name);
  const tiles = worth
    ? [
        tile(`× ${worth.gain.mean.toFixed(2)}`, 'progress a second'),
        tile(`${Math.round(100 * worth.time.mean)} %`, 'of the time of a full step'),
        tile(`${Math.round(100 * worth.progress.mean)} %`, 'of its progress'),
      ]
    : [tile(`${none.time.ms.toFixed(1)} ms`, 'a full step')];
  const noise = agreement ? [tile(agreement.mean.toFixed(2), 'cosine between full gradients of different batches')] : [];
  return el(
    'section',
    { class: 'card wide verdict' },
    el('h2', {}, 'Recommended'),
    el('p', { class: 'answer' }, name ?? 'Drop nothing'),
    el('div', { class: 'tiles' }, ...tiles, ...noise),
    el('p', {}, reason),
    caveats.length + report.notes.length > 0 ? el('ul', {}, ...[...caveats, ...report.notes].map((text) => el('li', {}, text))) : null,
  );
}

const DASHED = 'Dashed and hollow: with weights 1/(1 − rate). Bars are one standard error over batches.';
const { batches, patterns, rounds } = report.sizes;
const facts = [...Object.entries(report.run).map(([key, value]) => `${key} ${value}`), `${report.units.length} units`];

document.body.append(
  el(
    'header',
    { class: 'top' },
    el('h1', {}, el('b', {}, 'ebb'), ' ', report.model),
    el('span', {}, `${facts.join(' · ')} · on ${report.device}`),
    themeButton(),
  ),
  el(
    'main',
    {},
    verdict(),
    el(
      'div',
      { class: 'choices' },
      choice('rates spread', spreads, spread, (to) => {
        spread = to;
      }),
      el('p', {}, `${batches} batches of ${report.data}, ${patterns} patterns of each setting on each; every pattern timed ${rounds} times`),
    ),
    card('Progress a second', `To first order: cosine with the gradient of other data, by the time of a step; what full steps make is 1. ${DASHED}`, gainPlot),
    card(
      'Fidelity against time saved',
      `Cosine of a step's gradient with the full one of the same batch; the further up and to the right, the better. Numbers are target rates.`,
      fidelityPlot,
    ),
    card('Bias', `How far the expected gradient is from the full one: ‖E g′ − g‖/‖g‖. ${DASHED}`, biasPlot),
    card(
      'Noise',
      'How far a single pattern is from the expected gradient: √E‖g′ − E g′‖²/‖g‖, in powers. Above 1 there is more noise than gradient.',
      noisePlot,
    ),
    card('Time of a step', 'Dots: measured, real steps in turns. Dotted lines: the full step’s time by the FLOPs that the patterns leave.', timePlot),
    card('Memory', 'Dots: what the timed steps took at most, with all that a run keeps. Dotted lines: planned for the worst pattern of a run.', memoryPlot),
    card('Sensitivity by unit', 'How much the norms of the gradients change when the unit alone is dropped.', sensitivityPlot, true),
    card('Drop rate by unit', 'What the two allocations make of the sensitivities, for each target.', ratesPlot, true),
    el(
      'div',
      { class: 'choices' },
      choice('sampling', samplings, sampling, (to) => {
        sampling = to;
      }),
    ),
    card(
      'Gradient of a unit',
      'Cosine with its full gradient in the patterns that keep it: what is missing above it.',
      (drawn) => unitFidelityPlot(drawn, sampling),
      true,
    ),
    ...(report.runs.length > 0
      ? [
          card('Loss by step', 'What runs make of their steps.', (drawn) => lossPlot(drawn, 'step')),
          card('Loss by time', 'The same runs by wall time: what counts.', (drawn) => lossPlot(drawn, 'seconds')),
        ]
      : []),
    settingsTable(report),
  ),
);

/** @file The page of `ebb analyze --html`: first the recommendation, then the measurements it rests on. */

import { embeddedData } from '../../page/browser/data.ts';
import { el } from '../../page/browser/dom.ts';
import { lossPlot } from '../../page/browser/plot.ts';
import { themeButton } from '../../page/browser/theme.ts';
import type { AnalyzeReport } from '../report.ts';
import { type Board, choiceRow, createBoard, plotCard } from './cards.ts';
import { biasPlot, fidelityPlot, gainPlot, memoryPlot, noisePlot, timePlot } from './plots.ts';
import { settingsTable } from './table.ts';
import { ratesPlot, sensitivityPlot, unitFidelityPlot } from './unitPlots.ts';

const DASHED = 'Dashed and hollow: with weights 1/(1 − rate). Bars are one standard error over batches.';

function header({ model, device, run, units }: AnalyzeReport): HTMLElement {
  const facts = [...Object.entries(run).map(([key, value]) => `${key} ${value}`), `${units.length} units`];
  return el('header', { class: 'top' }, el('h1', {}, el('b', {}, 'ebb'), ' ', model), el('span', {}, `${facts.join(' · ')} · on ${device}`), themeButton());
}

/** A number in large type, with what it counts. */
function keyNumber(value: string, label: string): HTMLElement {
  return el('div', { class: 'key-number' }, el('strong', {}, value), el('span', {}, label));
}

/** The card with the recommendation, its reason and its caveats. */
function verdict({ recommendation, none, notes }: AnalyzeReport): HTMLElement {
  const { name, reason, caveats, agreement, worths } = recommendation;
  const worth = worths.find((w) => w.name === name);
  const numbers = worth
    ? [
        keyNumber(`× ${worth.gain.mean.toFixed(2)}`, 'progress a second'),
        keyNumber(`${Math.round(100 * worth.time.mean)} %`, 'of the time of a full step'),
        keyNumber(`${Math.round(100 * worth.progress.mean)} %`, 'of its progress'),
      ]
    : [keyNumber(`${none.time.ms.toFixed(1)} ms`, 'a full step')];
  const noise = agreement ? [keyNumber(agreement.mean.toFixed(2), 'cosine between full gradients of different batches')] : [];
  return el(
    'section',
    { class: 'card wide verdict' },
    el('h2', {}, 'Recommended'),
    el('p', { class: 'answer' }, name ?? 'Drop nothing'),
    el('div', { class: 'key-numbers' }, ...numbers, ...noise),
    el('p', {}, reason),
    caveats.length + notes.length > 0 ? el('ul', {}, ...[...caveats, ...notes].map((text) => el('li', {}, text))) : null,
  );
}

/** The plots that compare settings. */
function settingCards(board: Board): HTMLElement[] {
  return [
    plotCard(board, {
      title: 'Progress a second',
      text: `To first order: the cosine with the gradient of other data, divided by the time of a step. Full steps make 1. ${DASHED}`,
      draw: gainPlot,
    }),
    plotCard(board, {
      title: 'Fidelity against time saved',
      text: "The cosine of a step's gradient with the full one of the same batch. Further up and to the right is better. Numbers are target rates.",
      draw: fidelityPlot,
    }),
    plotCard(board, { title: 'Bias', text: `How far the expected gradient is from the full one: ‖E g′ − g‖/‖g‖. ${DASHED}`, draw: biasPlot }),
    plotCard(board, {
      title: 'Noise',
      text: 'How far a single pattern is from the expected gradient: √E‖g′ − E g′‖²/‖g‖, on a logarithmic scale. Above 1 there is more noise than gradient.',
      draw: noisePlot,
    }),
    plotCard(board, {
      title: 'Time of a step',
      text: 'Dots: measured on real steps that take turns. Dotted lines: the time of a full step, scaled by the FLOPs that the patterns leave.',
      draw: timePlot,
    }),
    plotCard(board, {
      title: 'Memory',
      text: 'Dots: the most that the timed steps took, with everything that a run keeps. Dotted lines: planned for the worst pattern of a run.',
      draw: memoryPlot,
    }),
  ];
}

/** The plots by unit. */
function unitCards(board: Board): (HTMLElement | null)[] {
  return [
    plotCard(board, {
      title: 'Sensitivity by unit',
      text: 'How much the norms of the gradients change when the unit alone is dropped.',
      draw: sensitivityPlot,
      wide: true,
    }),
    plotCard(board, {
      title: 'Drop rate by unit',
      text: 'The rates that the two allocations make from the sensitivities, for each target.',
      draw: ratesPlot,
      wide: true,
    }),
    el('div', { class: 'choices' }, choiceRow(board, 'sampling', 'sampling')),
    plotCard(board, {
      title: 'Gradient of a unit',
      text: "The cosine of the unit's gradient with its full one, over the patterns that keep the unit. It shows what is missing above the unit.",
      draw: (drawn) => unitFidelityPlot(drawn, board.choices.sampling),
      wide: true,
    }),
  ];
}

/** The loss curves, where run folders were given. */
function lossCards(board: Board): HTMLElement[] {
  if (board.report.runs.length === 0) return [];
  return [
    plotCard(board, {
      title: 'Loss by step',
      text: 'The losses of the runs by step; hollow dots are held-out losses.',
      draw: ({ report, width }) => lossPlot({ curves: report.runs, width, by: 'step' }),
    }),
    plotCard(board, {
      title: 'Loss by time',
      text: 'The losses of the same runs by wall time, which is what counts.',
      draw: ({ report, width }) => lossPlot({ curves: report.runs, width, by: 'seconds' }),
    }),
  ];
}

function main(board: Board): HTMLElement {
  const { report } = board;
  const { batches, patterns, rounds } = report.sizes;
  const sizes = `${batches} batches of ${report.data}, ${patterns} patterns of each setting on each batch; every pattern was timed ${rounds} times`;
  return el(
    'main',
    {},
    verdict(report),
    el('div', { class: 'choices' }, choiceRow(board, 'rates spread', 'spread'), el('p', {}, sizes)),
    ...settingCards(board),
    ...unitCards(board),
    ...lossCards(board),
    settingsTable(report),
  );
}

const report = embeddedData<AnalyzeReport>();
document.body.append(header(report), main(createBoard(report)));

/** @file The card of a single run: how it stands, in numbers. */

import { el } from '../../page/browser/dom.ts';
import type { RunView } from '../report.ts';
import { clock, digits, loss, steps } from './amounts.ts';

function keyNumber(value: string, label: string): HTMLElement {
  return el('div', { class: 'key-number' }, el('strong', {}, value), el('span', {}, label));
}

/** Makes the card. @param isServed whether it follows the run */
export function runCard({ state, steps: count, latest, heldOut, seconds, secondsLeft, tokensPerSecond }: RunView, isServed: boolean): HTMLElement {
  const numbers = [
    keyNumber(steps(count), 'steps'),
    ...(latest ? [keyNumber(loss(latest.smoothed), `loss, mean of the last steps; the last ${loss(latest.loss)}`)] : []),
    ...(heldOut?.best ? [keyNumber(loss(heldOut.best.loss), `best held-out loss, after ${heldOut.best.step} steps`)] : []),
    ...(heldOut ? [keyNumber(loss(heldOut.last.loss), `last held-out loss, after ${heldOut.last.step} steps`)] : []),
    keyNumber(clock(seconds), secondsLeft === null ? 'of training' : `of training, about ${clock(secondsLeft)} left`),
    ...(tokensPerSecond === null ? [] : [keyNumber(tokensPerSecond.toFixed(0), 'tokens a second')]),
    ...(latest?.dropped == null ? [] : [keyNumber(`${Math.round(100 * latest.dropped)} %`, 'of the backward dropped in the last step')]),
    ...(latest?.lr == null ? [] : [keyNumber(digits(latest.lr), 'learning rate')]),
    ...(latest?.gradNorm == null ? [] : [keyNumber(digits(latest.gradNorm), 'gradient norm')]),
  ];
  const bar = count.of === null ? null : el('progress', { value: count.done, max: count.of, 'aria-label': 'steps' });
  return el(
    'section',
    { class: 'card wide' },
    el('h2', {}, el('span', { class: `state ${state}` }, state), isServed && state === 'running' ? ' this page follows the run' : ''),
    bar,
    el('div', { class: 'key-numbers' }, ...numbers),
  );
}

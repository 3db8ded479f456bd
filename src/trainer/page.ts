/** @file The page of a standalone trainer: choose files and numbers, watch the loss, take the result along. */

import type { StepMetrics } from '../train/loop.ts';
import { type NamedBytes, type PageRun, trainInPage } from './inPage.ts';
import type { TrainerPackage } from './package.ts';

function element<K extends keyof HTMLElementTagNameMap>(name: K, props: object = {}, children: readonly (Node | string)[] = []): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  Object.assign(made, props);
  made.append(...children);
  return made;
}

const NUMBERS = [
  { name: 'steps', label: 'steps', value: '100', step: '1' },
  { name: 'lr', label: 'learning rate', value: '0.001', step: 'any' },
  { name: 'dropRate', label: 'drop rate', value: '0.5', step: '0.05' },
  { name: 'seed', label: 'seed', value: '0', step: '1' },
] as const;

async function bytesOf(field: HTMLInputElement): Promise<NamedBytes | undefined> {
  const [file] = field.files ?? [];
  return file && { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
}

/** Draws the losses so far. */
function draw(canvas: HTMLCanvasElement, losses: readonly number[], steps: number): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const [width, height] = [canvas.width, canvas.height];
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  context.clearRect(0, 0, width, height);
  context.strokeStyle = getComputedStyle(canvas).color;
  context.lineWidth = 3;
  context.beginPath();
  losses.forEach((loss, i) => context.lineTo((width * i) / Math.max(1, steps - 1), height - 8 - ((height - 16) * (loss - low)) / Math.max(1e-9, high - low)));
  context.stroke();
}

/** Builds the page into `root`. */
export function openPage(trainer: TrainerPackage, root: HTMLElement): void {
  const weights = element('input', { type: 'file', accept: '.safetensors', name: 'weights' });
  const data = element('input', { type: 'file', accept: '.safetensors,.bin', name: 'data', required: true });
  const numbers = NUMBERS.map((n) => ({ ...n, field: element('input', { type: 'number', name: n.name, value: n.value, step: n.step }) }));
  const start = element('button', { type: 'submit', textContent: 'Train' });
  const halt = element('button', { type: 'button', textContent: 'Stop', disabled: true });
  const chart = element('canvas', { width: 1200, height: 320 });
  const status = element('output', { textContent: `${trainer.units.length} units may lose their backward in a step.` });
  const result = element('p');
  const labelled = (text: string, field: HTMLElement): HTMLElement => element('label', {}, [element('span', { textContent: text }), field]);
  const form = element('form', {}, [
    labelled('data (.safetensors, .bin)', data),
    labelled('weights (.safetensors; none: drawn anew)', weights),
    ...numbers.map(({ label, field }) => labelled(label, field)),
    start,
    halt,
  ]);
  let stopping = false;
  halt.onclick = () => {
    stopping = true;
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    void run();
  };
  const run = async (): Promise<void> => {
    const chosen = await bytesOf(data);
    if (!chosen) return;
    const given = await bytesOf(weights);
    const values = Object.fromEntries(numbers.map(({ name, field }) => [name, Number(field.value)])) as unknown as Pick<
      PageRun,
      'steps' | 'lr' | 'dropRate' | 'seed'
    >;
    const losses: number[] = [];
    const onStep = (m: StepMetrics): void => {
      losses.push(m.loss);
      draw(chart, losses, values.steps);
      const share = trainer.units.length === 0 ? 0 : (100 * m.dropped.flat().length) / trainer.units.length;
      status.textContent = `step ${m.step + 1} of ${values.steps} · loss ${m.loss.toFixed(4)} · ${((1000 * m.tokens) / m.ms).toFixed(0)} tokens/s · backward dropped ${share.toFixed(0)} %`;
    };
    [stopping, start.disabled, halt.disabled] = [false, true, false];
    result.replaceChildren();
    status.textContent = 'preparing kernels…';
    try {
      const { trained } = await trainInPage(trainer, { ...values, data: chosen, ...(given ? { weights: given } : {}), onStep, stop: () => stopping });
      result.replaceChildren(
        element('a', { href: URL.createObjectURL(trained), download: `${trainer.name}.safetensors`, textContent: 'Download what was trained' }),
      );
    } catch (error) {
      status.textContent = error instanceof Error ? error.message : String(error);
    }
    [start.disabled, halt.disabled] = [false, true];
  };
  root.replaceChildren(element('h1', { textContent: trainer.name }), form, chart, status, result);
}

/** @file The page of a standalone trainer: choose files and numbers, watch the loss, take the result along. */

import { pageDeviceName } from '../runtime/webgpu/page.ts';
import type { StepMetrics } from '../train/loop.ts';
import { type NamedBytes, type PageRun, trainInPage } from './inPage.ts';
import type { PackageFacts } from './package.ts';

function element<K extends keyof HTMLElementTagNameMap>(name: K, props: object = {}, children: readonly (Node | string)[] = []): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  Object.assign(made, props);
  made.append(...children);
  return made;
}

const SVG = 'http://www.w3.org/2000/svg';

function path(className: string): SVGPathElement {
  const made = document.createElementNS(SVG, 'path');
  made.setAttribute('class', className);
  return made;
}

type Numbers = Pick<PageRun, 'steps' | 'lr' | 'dropRate' | 'seed'>;

interface NumberField {
  readonly name: keyof Numbers;
  readonly label: string;
  readonly value: number;
  readonly step: string;
  readonly min: string;
  readonly max: string;
}

/** The command line's defaults, where it has some. */
const numberFields = ({ dropRate = 0 }: PackageFacts): readonly NumberField[] => [
  { name: 'steps', label: 'steps', value: 100, step: '1', min: '1', max: '' },
  { name: 'lr', label: 'learning rate', value: 1e-4, step: 'any', min: '0', max: '' },
  { name: 'dropRate', label: 'drop rate, 0 to 1', value: dropRate, step: 'any', min: '0', max: '1' },
  { name: 'seed', label: 'seed', value: 0, step: '1', min: '0', max: '' },
];

async function bytesOf(field: HTMLInputElement): Promise<NamedBytes | undefined> {
  const [file] = field.files ?? [];
  return file && { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
}

const WIDTH = 1000;
const HEIGHT = 250;
/** Most points of the line; more steps are drawn as means of neighbours. */
const POINTS = 1000;

interface Chart {
  readonly figure: HTMLElement;
  /** Draws the losses of the first of `steps` steps. */
  draw(losses: readonly number[], steps: number): void;
}

/** Means of as many neighbours as it takes, with the step in the middle of them. */
function thinned(losses: readonly number[]): { readonly step: number; readonly loss: number }[] {
  const size = Math.ceil(losses.length / POINTS);
  return Array.from({ length: Math.ceil(losses.length / size) }, (_, i) => {
    const part = losses.slice(i * size, (i + 1) * size);
    return { step: i * size + (part.length - 1) / 2, loss: part.reduce((a, b) => a + b, 0) / part.length };
  });
}

function lossChart(): Chart {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  const [grid, line, last] = [path('grid'), path('line'), path('last')];
  grid.setAttribute('d', [0, 0.5].map((y) => `M0 ${y * HEIGHT}H${WIDTH}`).join(''));
  svg.append(grid, line, last);
  const losses = element('div', { className: 'scale losses' });
  const steps = element('div', { className: 'scale steps' });
  const draw: Chart['draw'] = (all, total) => {
    const points = thinned(all);
    const [least, most] = [Math.min(...points.map((p) => p.loss)), Math.max(...points.map((p) => p.loss))];
    // a flat line lies in the middle
    const margin = most > least ? 0 : Math.max(Math.abs(most) * 0.01, 1e-6);
    const [low, high] = [least - margin, most + margin];
    const at = ({ step, loss }: { step: number; loss: number }): string =>
      `${((WIDTH * step) / Math.max(1, total - 1)).toFixed(1)} ${((HEIGHT * (high - loss)) / (high - low)).toFixed(1)}`;
    const end = points.at(-1);
    line.setAttribute('d', points.map((p, i) => `${i === 0 ? 'M' : 'L'}${at(p)}`).join(''));
    last.setAttribute('d', end ? `M${at(end)}h0` : '');
    const labels = end ? [high, (high + low) / 2, low].map((loss) => loss.toFixed(high - low < 0.01 ? 5 : 3)) : [];
    losses.replaceChildren(...labels.map((text) => element('span', { textContent: text })));
    const ends = total > 1 ? ['step 1', `step ${total}`] : ['step 1'];
    steps.replaceChildren(...ends.map((text) => element('span', { textContent: text })));
    svg.setAttribute('aria-label', end ? `loss of ${all.length} steps, between ${least.toFixed(4)} and ${most.toFixed(4)}` : 'no loss yet');
  };
  draw([], 1);
  steps.replaceChildren();
  const figure = element('figure', {}, [element('figcaption', { textContent: 'Loss by step' }), losses, svg, steps]);
  return { figure, draw };
}

type State = 'ready' | 'running' | 'done' | 'failed';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Builds the page of a trainer into `root`: files, numbers, the run, its losses and its result. */
export function openPage(trainer: PackageFacts, root: HTMLElement): void {
  const weights = element('input', { type: 'file', accept: '.safetensors', name: 'weights' });
  const data = element('input', { type: 'file', accept: '.safetensors,.bin', name: 'data', required: true });
  const numbers = numberFields(trainer).map(({ label, value, ...props }) => ({
    name: props.name,
    label,
    field: element('input', { type: 'number', value: String(value), required: true, ...props }),
  }));
  const start = element('button', { type: 'submit', textContent: 'Train' });
  const halt = element('button', { type: 'button', textContent: 'Stop', disabled: true });
  const result = element('span');
  const progress = element('progress', { value: 0, max: 1, ariaLabel: 'steps done' });
  const status = element('output');
  const chart = lossChart();
  const labelled = (text: string, field: HTMLElement, className = ''): HTMLElement =>
    element('label', { className }, [element('span', { textContent: text }), field]);
  const fields = element('fieldset', {}, [
    labelled('data (.safetensors, .bin)', data, 'file'),
    labelled('weights (.safetensors; none: drawn anew, but an adapter needs them)', weights, 'file'),
    ...numbers.map(({ label, field }) => labelled(label, field)),
  ]);
  const form = element('form', {}, [fields, element('div', { className: 'actions' }, [start, halt, result]), progress, status]);
  const say = (state: State, text: string): void => {
    status.dataset['state'] = state;
    status.textContent = text;
  };
  let stopping = false;
  halt.onclick = () => {
    stopping = true;
    halt.disabled = true;
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    void run();
  };
  let link: string | null = null;
  const offer = (trained: { readonly name: string; readonly blob: Blob } | null): void => {
    if (link !== null) URL.revokeObjectURL(link);
    link = trained && URL.createObjectURL(trained.blob);
    const text = `Download ${trained?.name ?? ''} (${megabytes(trained?.blob.size ?? 0)})`;
    result.replaceChildren(...(trained ? [element('a', { className: 'download', href: link, download: trained.name, textContent: text })] : []));
  };
  const run = async (): Promise<void> => {
    const values = Object.fromEntries(numbers.map(({ name, field }) => [name, field.valueAsNumber])) as Record<keyof Numbers, number>;
    const { steps } = values;
    const losses: number[] = [];
    const onStep = (m: StepMetrics): void => {
      losses.push(m.loss);
      chart.draw(losses, steps);
      progress.value = losses.length / steps;
      const dropped = trainer.units.length === 0 ? '' : ` · backward dropped ${percent(m.dropped.flat().length / trainer.units.length)}`;
      say('running', `Step ${m.step} of ${steps} · loss ${m.loss.toFixed(4)} · ${((1000 * m.tokens) / m.ms).toFixed(0)} tokens/s${dropped}`);
    };
    [stopping, start.disabled, halt.disabled, fields.disabled] = [false, true, false, true];
    offer(null);
    chart.draw([], steps);
    progress.value = 0;
    say('running', 'Preparing kernels…');
    try {
      const chosen = await bytesOf(data);
      const [given] = weights.files ?? [];
      if (!chosen) throw new Error('choose a data file');
      const { trained } = await trainInPage(trainer, { ...values, data: chosen, ...(given ? { weights: given } : {}), onStep, stop: () => stopping });
      offer(trained);
      const [first = Number.NaN, last = Number.NaN] = [losses[0], losses.at(-1)];
      const change = losses.length > 0 ? ` · loss ${first.toFixed(4)} → ${last.toFixed(4)}` : '';
      say('done', `${losses.length < steps ? `Stopped after ${losses.length} of ${steps}` : `Done: ${steps}`} ${steps === 1 ? 'step' : 'steps'}${change}`);
    } catch (error) {
      say('failed', messageOf(error));
    }
    [start.disabled, halt.disabled, fields.disabled] = [false, true, false];
  };
  const { B, T } = trainer.bounds;
  const size = B !== undefined && T !== undefined ? `; batches of at most ${B} × ${T} tokens` : '';
  const about = `${trainer.units.length} units may lose their backward in a step${size}.`;
  root.replaceChildren(element('h1', { textContent: `Train ${trainer.name}` }), element('p', { className: 'about', textContent: about }), form, chart.figure);
  say('ready', 'Looking for a GPU…');
  start.disabled = true;
  pageDeviceName().then(
    (name) => {
      say('ready', `Ready, on ${name}.`);
      start.disabled = false;
    },
    (error: unknown) => {
      say('failed', messageOf(error));
      fields.disabled = true;
    },
  );
}

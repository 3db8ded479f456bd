/** @file `npm run demo`: the bundled Shakespeare model learns to write arithmetic questions, with LoRA and DropBP, in a few minutes. */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { uniformDrop } from '../dropbp/uniformDrop.ts';
import { amount } from '../inspect/report.ts';
import { openCheckpoint } from '../models/checkpoint.ts';
import type { CommandDevice } from '../node/device.ts';
import { isStep, METRICS, type MetricsLine } from '../run/metrics.ts';
import { tell, type Watch } from '../run/progress.ts';
import { finetune } from '../session/finetune.ts';
import { loadModel } from '../session/loadModel.ts';
import type { StepMetrics } from '../train/loop.ts';

const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'examples');
export const DEMO_STEPS = 72;
const RATE = 0.5;
/** One step of this many drops nothing, so that the run can be compared with itself. */
const WHOLE_EVERY = 8;
const PROMPT = 'Tom has';

export interface DemoReport {
  readonly before: string;
  readonly after: string;
  readonly heldOut: { readonly before: number; readonly after: number };
  readonly table: string;
}

/** Trains the bundled model with LoRA and DropBP. It writes to a temporary folder. */
export async function runDemo(device: CommandDevice, steps: number, watch: Watch): Promise<DemoReport> {
  const model = join(EXAMPLES, 'tiny-llama', 'model');
  const { numLayers } = openCheckpoint(model).config;
  const units = Array.from({ length: numLayers }, (_, i) => [`layers.${i}.attn`, `layers.${i}.mlp`]).flat();
  const patterns = Array.from({ length: steps }, (_, step) => (step % WHOLE_EVERY === WHOLE_EVERY - 1 ? [] : uniformDrop(units, RATE, 1, step)));
  const out = mkdtempSync(join(tmpdir(), 'ebb-demo-'));
  const continuation = async (adapter?: string): Promise<string> => {
    const loaded = await loadModel(model, { device, ...watch, ...(adapter === undefined ? {} : { adapter }) });
    const text = await loaded.generate(PROMPT, { maxNewTokens: 48, temperature: 0.3, topK: 20, seed: 3 }).text();
    loaded.close();
    return text;
  };
  tell(watch, `device: ${device.device.profile.name} (${device.why})`);
  const before = await continuation();
  tell(watch, `\nbefore, "${PROMPT}" goes on:\n  ${quoted(before)}\n`);
  const report = await finetune({
    ...watch,
    device,
    model,
    data: join(EXAMPLES, 'demo', 'questions.jsonl'),
    evalData: join(EXAMPLES, 'demo', 'held-out.jsonl'),
    out,
    steps,
    batch: 4,
    length: 96,
    lora: { rank: 16, alpha: 32 },
    optimizer: { name: 'adamw', lr: 3e-3, weightDecay: 0 },
    schedule: 'cosine',
    warmupSteps: 8,
    drop: { kind: 'fixed', patterns },
    evalLimit: 32,
    tune: 'off',
    seed: 1,
  });
  const after = await continuation(join(out, 'result'));
  tell(watch, `\nafter:\n  ${quoted(after)}\n`);
  const table = comparison(join(out, METRICS));
  return { before, after, heldOut: report.heldOut ?? { before: Number.NaN, after: Number.NaN }, table };
}

function quoted(text: string): string {
  return (PROMPT + text).trim().replaceAll('\n', '\n  ');
}

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;

/** Compares time, FLOPs and saved bytes of the run's steps with and without dropped units, as a table. It leaves out the first steps, which compile. */
export function comparison(metricsFile: string): string {
  const steps = readFileSync(metricsFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as MetricsLine)
    .filter(isStep)
    .filter((m) => m.step > 3);
  const whole = steps.filter((m) => m.dropped.every((d) => d.length === 0));
  const dropped = steps.filter((m) => m.dropped.some((d) => d.length > 0));
  // Batches differ in length, so everything is taken in proportion to the forward pass, which dropping does not change.
  const proportion = (list: readonly StepMetrics[], of: (m: StepMetrics) => number): number => median(list.map((m) => of(m) / m.forwardFlops));
  const forward = median(steps.map((m) => m.forwardFlops));
  const row = (label: string, of: (m: StepMetrics) => number, show: (v: number) => string): string => {
    const [a, b] = [whole, dropped].map((list) => proportion(list, of) * forward) as [number, number];
    return `${label.padEnd(26)}${show(a).padStart(14)}${show(b).padStart(14)}${`${(100 * (1 - b / a)).toFixed(0)} %`.padStart(9)}`;
  };
  return [
    `${'a step'.padEnd(26)}${'whole'.padStart(14)}${'with DropBP'.padStart(14)}${'saved'.padStart(9)}`,
    row(
      'time',
      (m) => m.ms,
      (v) => `${v.toFixed(0)} ms`,
    ),
    row(
      'backward',
      (m) => m.backwardFlops,
      (v) => amount(v, 'FLOP'),
    ),
    row(
      'forward and backward',
      (m) => m.forwardFlops + m.backwardFlops,
      (v) => amount(v, 'FLOP'),
    ),
    row(
      'saved activations',
      (m) => m.savedBytes,
      (v) => amount(v, 'B'),
    ),
    `medians of ${whole.length} whole and ${dropped.length} dropped steps of this run (drop rate ${RATE}), from its metrics.jsonl`,
  ].join('\n');
}

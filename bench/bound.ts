/**
 * Compares what DropBP saves with the bound that the drawn patterns set: the speed-up divided by (1 ÷ the share of FLOPs that the patterns
 * leave, frontier included), and the time saved divided by the time that could be saved. It measures Ebb alone, on 8 layers of hidden size
 * 256 with AdamW, once with LoRA and once with everything trained.
 *
 *   npm run bench:bound -- [--patterns 30] [--passes 2] [--only lora,full] [--device NAME]
 *
 * A turn is a step that drops nothing and one step of each rate. Each pass repeats all turns, minutes later and with the same patterns, and
 * the least time of each step counts: other programs on the machine disturb a step, but seldom the same step twice. Speed-ups are ratios of
 * means over turns. It fails below 0.97 of the bound, and where a step saves more or fewer bytes than its backwards read.
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { at, get } from '../src/errors.ts';
import { type Engine, type MicroBatch, type OpenedDevice, type OptimizerConfig, openDevice, unitsOf, updateScalar } from '../src/index.ts';
import { bareEngine } from './bare.ts';
import { bytesReadBack } from './saved.ts';
import { dropPattern, RANK, RATES } from './sections/dropbp.ts';
import { type ModelSpec, modelSpec, SPEC } from './spec.ts';
import { mean } from './stats.ts';
import { shown, table } from './table.ts';

const { values: flags } = parseArgs({
  options: {
    patterns: { type: 'string', default: '30' },
    passes: { type: 'string', default: '2' },
    only: { type: 'string', default: 'lora,full' },
    device: { type: 'string', default: 'auto' },
  },
});
const [PATTERNS, PASSES] = [Number(flags.patterns), Number(flags.passes)];
/** The least share of the bound that passes. */
const LEAST = 0.97;
const MODEL: ModelSpec = { ...modelSpec('S'), layers: 8, batch: 1 };
const TUNINGS = { lora: 'LoRA r=8', full: 'full' } as const;

/** PyTorch's figures at a realised drop rate. */
interface PublishedPoint {
  readonly realised: number;
  readonly speedUp: number;
  readonly ideal: number;
}
/** PyTorch's figures of model S by what is trained. Figures between two rates are interpolated. */
const PUBLISHED = JSON.parse(readFileSync(new URL('published.json', import.meta.url), 'utf8')) as {
  readonly source: string;
  readonly dropbp: Readonly<Record<string, readonly PublishedPoint[]>>;
};

/** A step of one pattern, with its least wall time and its least processor time. */
interface PatternStep {
  readonly dropped: number;
  readonly flops: number;
  readonly savedBytes: number;
  readonly ms: number;
  readonly cpuMs: number;
}

const lesser = (a: PatternStep | undefined, b: PatternStep): PatternStep => (a ? { ...b, ms: Math.min(a.ms, b.ms), cpuMs: Math.min(a.cpuMs, b.cpuMs) } : b);

/** Returns a function that runs a step and measures it. @throws Error where the step saves more or fewer bytes than its backwards read */
function stepper(engine: Engine): (dropped: readonly string[]) => Promise<PatternStep> {
  const { batch, seq, vocab } = MODEL;
  const { lr, beta1, beta2, eps, weightDecay } = SPEC.adamw;
  const optimizer: OptimizerConfig = { name: 'adamw', lr, betas: [beta1, beta2], eps, weightDecay };
  const sizes = { B: batch, T: seq };
  const ids = Int32Array.from({ length: batch * seq }, (_, i) => (i * 37 + 11) % vocab);
  const inputs = { tokens: ids, targets: ids, segments: new Int32Array(ids.length).fill(1) };
  const scalar = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
  const units = unitsOf(engine).length;
  return async (dropped) => {
    const micro: MicroBatch = { sizes, inputs, scalar, pattern: new Map(dropped.map((unit) => [unit, 'dropped'])) };
    const spent = process.cpuUsage();
    const started = performance.now();
    const step = engine.step([micro], {
      optimizer: 'adamw',
      maxNorm: 0,
      alsoUntouched: false,
      scalar: (name) => updateScalar(optimizer, lr, name),
    });
    await step.read();
    const ms = performance.now() - started;
    const { user, system } = process.cpuUsage(spent);
    const variant = at(step.variants, 0);
    const readBack = bytesReadBack(engine.program, variant, sizes);
    if (variant.savedBytes !== readBack) throw new Error(`a step saves ${variant.savedBytes} bytes, but its backwards read ${readBack}`);
    const flops = step.forwardFlops + step.backwardFlops;
    return { dropped: dropped.length / units, flops, savedBytes: variant.savedBytes, ms, cpuMs: (user + system) / 1000 };
  };
}

/** Returns the steps of all turns by rate, each with its least times over the passes. The other rates are compared with rate 0. */
async function measure(opened: OpenedDevice, lora: number): Promise<ReadonlyMap<number, readonly PatternStep[]>> {
  const engine = await bareEngine(opened, MODEL, lora);
  const units = unitsOf(engine);
  const step = stepper(engine);
  // the first steps compile, and the engine learns from them how long a step takes
  for (let round = 0; round < 2; round++) for (const rate of RATES) await step(dropPattern(units, rate, PATTERNS + round));
  const best = new Map<number, PatternStep[]>(RATES.map((rate) => [rate, []]));
  for (let pass = 0; pass < PASSES; pass++)
    for (let turn = 0; turn < PATTERNS; turn++) for (const [rate, list] of best) list[turn] = lesser(list[turn], await step(dropPattern(units, rate, turn)));
  engine.destroy();
  return best;
}

/** A figure of PyTorch at a realised rate, interpolated between its neighbours. NaN where there is none. */
function published(tuning: string, realised: number, of: (point: PublishedPoint) => number): number {
  const points = PUBLISHED.dropbp[tuning];
  if (!points) throw new Error(`published.json has no figures for ${tuning}`);
  const above = points.findIndex((p) => p.realised >= realised);
  const [a, b] = [points[Math.max(0, above - 1)], points[above]];
  if (!a || !b) return Number.NaN;
  const share = b === a ? 0 : (realised - a.realised) / (b.realised - a.realised);
  return of(a) + share * (of(b) - of(a));
}

/** The time saved divided by the time that could be saved. */
const savedShare = (speedUp: number, ideal: number): number => (1 - 1 / speedUp) / (1 - 1 / ideal);

const opened = await openDevice({ device: flags.device });
console.log(
  `${opened.device.profile.name}; ${MODEL.layers} layers of ${MODEL.dim}, batch ${MODEL.batch} × ${MODEL.seq}; ${PATTERNS} patterns a rate, least of ${PASSES} passes`,
);
const rows: string[][] = [];
for (const [kind, tuning] of Object.entries(TUNINGS)) {
  if (!flags.only.split(',').includes(kind)) continue;
  const best = await measure(opened, kind === 'lora' ? RANK : 0);
  const average = (rate: number, of: (m: PatternStep) => number): number => mean(get(best, rate).map(of));
  for (const rate of RATES) {
    if (rate === 0) continue;
    const over = (of: (m: PatternStep) => number): number => average(0, of) / average(rate, of);
    const [speedUp, cpuSpeedUp, ideal] = [over((m) => m.ms), over((m) => m.cpuMs), over((m) => m.flops)];
    const realised = average(rate, (m) => m.dropped);
    const peer = published(tuning, realised, (p) => p.speedUp / p.ideal);
    rows.push([
      tuning,
      `${rate} / ${realised.toFixed(3)}`,
      `${shown(average(0, (m) => m.ms))} → ${shown(average(rate, (m) => m.ms))}`,
      speedUp.toFixed(3),
      ideal.toFixed(3),
      (speedUp / ideal).toFixed(3),
      (cpuSpeedUp / ideal).toFixed(3),
      savedShare(speedUp, ideal).toFixed(3),
      `${shown(average(0, (m) => m.savedBytes) / 2 ** 20, 1)} → ${shown(average(rate, (m) => m.savedBytes) / 2 ** 20, 1)}`,
      peer.toFixed(3),
      published(tuning, realised, (p) => (p.ideal === 1 ? 1 : savedShare(p.speedUp, p.ideal))).toFixed(3),
    ]);
    if (!(speedUp / ideal >= LEAST)) process.exitCode = 1;
  }
}
opened.close();
const head = ['trained', 'p asked / realised', 'step, mean ms', 'speed-up', 'bound', 'of bound', 'of bound, processor time', 'saved ÷ savable', 'saved MiB'];
console.log(table([...head, "PyTorch's of bound", "PyTorch's saved ÷ savable"], rows));
console.log(`PyTorch: model S, interpolated between the published rates at the same realised rate; ${PUBLISHED.source}`);
console.log(`every step saved exactly what its backwards read; ${process.exitCode ? 'BELOW' : 'at least'} ${LEAST} of the bound`);

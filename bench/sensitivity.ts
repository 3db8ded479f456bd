/**
 * Measures the cost of sensitivities: a probe of all U units from one forward is compared with U + 1 whole forwards and backwards, in which
 * the reference code drops one unit at a time. The model has 24 units and a head. Both take turns, and minima count. A probe is compared with
 * a row of steps that takes about as long, because single steps would find quieter moments of the machine than a probe can.
 *
 *   npm run bench:sensitivity -- [--rounds 3] [--hidden 256] [--length 256]
 *
 * It prints the ratio of times and of FLOPs. It fails above 0.30 for LoRA and 0.40 for full fine-tuning.
 */

import { parseArgs } from 'node:util';
import { type Engine, type MicroBatch, type OpenedDevice, openDevice, openSession, parseHfConfig, trainingMode } from '../src/index.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, hidden: { type: 'string', default: '256' }, length: { type: 'string', default: '256' } },
});
const [hidden, length] = [Number(values.hidden), Number(values.length)];
const LAYERS = 12;
/** The largest ratio that passes. */
const LIMIT = { lora: 0.3, full: 0.4 };
/** This many steps take about as long as a probe. */
const IN_A_ROW = 8;

const model = parseHfConfig(
  'config.json',
  JSON.stringify({
    model_type: 'llama',
    vocab_size: 4096,
    hidden_size: hidden,
    intermediate_size: 2.6875 * hidden,
    num_hidden_layers: LAYERS,
    num_attention_heads: hidden / 64,
    max_position_embeddings: length,
  }),
);

type Trains = keyof typeof LIMIT;

/** An engine that can probe, with drawn parameters. */
async function probeEngine(opened: OpenedDevice, trains: Trains): Promise<Engine> {
  const lora = trains === 'lora' ? { layers: ['*'], rank: 8, alpha: 16, rslora: false, dropout: 0 } : null;
  const dims = { B: 1, T: length };
  const traced = { mode: trainingMode(length), dims, lora, trains: lora ? 'adapter' : 'full' } as const;
  return (await openSession(model, opened, { ...traced, micros: 1, optimizer: 'none', decay: 'all', seed: 1, probes: 'norms' })).engine;
}

/** The least wall time and the least processor time, both in milliseconds, and the FLOPs. */
interface Cost {
  readonly ms: number;
  readonly cpuMs: number;
  readonly flops: number;
}

/** Runs `work`, which returns its FLOPs, and lowers `least` to what it took, divided by `times`. */
async function timed(least: Cost, times: number, work: () => Promise<number>): Promise<Cost> {
  const started = performance.now();
  const spent = process.cpuUsage();
  const flops = await work();
  const { user, system } = process.cpuUsage(spent);
  return {
    ms: Math.min(least.ms, (performance.now() - started) / times),
    cpuMs: Math.min(least.cpuMs, (user + system) / 1000 / times),
    flops,
  };
}

const UNKNOWN: Cost = { ms: Number.POSITIVE_INFINITY, cpuMs: Number.POSITIVE_INFINITY, flops: Number.NaN };

/** Steps and probes in turns. */
async function measure(engine: Engine): Promise<{ readonly step: Cost; readonly probe: Cost }> {
  const ids = Int32Array.from({ length }, (_, i) => (i * 37 + 11) % 4096);
  const micro: MicroBatch = {
    sizes: { B: 1, T: length },
    inputs: { tokens: ids, targets: ids, segments: new Int32Array(length).fill(1) },
    pattern: new Map(),
    scalar: (name) => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0),
  };
  const step = async (): Promise<number> => {
    const result = engine.step([micro], null);
    await result.read();
    return result.forwardFlops + result.backwardFlops;
  };
  const steps = async (): Promise<number> => {
    for (let i = 1; i < IN_A_ROW; i++) await step();
    return step();
  };
  const probe = async (): Promise<number> => (await engine.probe(micro)).flops;
  // the first round compiles
  await steps();
  await probe();
  let cost = { step: UNKNOWN, probe: UNKNOWN };
  for (let round = 0; round < Number(values.rounds); round++)
    cost = { step: await timed(cost.step, IN_A_ROW, steps), probe: await timed(cost.probe, 1, probe) };
  return cost;
}

const opened = await openDevice();
console.log(`${opened.device.profile.kind}, ${2 * LAYERS} units, hidden size ${hidden}, ${length} tokens`);
for (const trains of ['lora', 'full'] as const) {
  const engine = await probeEngine(opened, trains);
  const { step, probe } = await measure(engine);
  engine.destroy();
  const official = 2 * LAYERS + 1;
  const ratio = (of: keyof Cost): number => probe[of] / (official * step[of]);
  console.log(
    `${trains}: forward and backward ${step.ms.toFixed(0)} ms, probe ${probe.ms.toFixed(0)} ms: ${ratio('ms').toFixed(3)} of ${official} × both` +
      ` (processor time ${ratio('cpuMs').toFixed(3)}, FLOPs ${ratio('flops').toFixed(3)}; at most ${LIMIT[trains]})`,
  );
  if (ratio('ms') > LIMIT[trains]) process.exitCode = 1;
}
opened.close();

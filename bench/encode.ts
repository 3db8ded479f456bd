/**
 * Measures what a step costs the thread that drives it, from its start (batch, choice of the pattern, linking, encoding) until its submission
 * returns, with a new drop pattern in each step. It runs on Dawn and takes the minimum over steps of the thread's own processor time, or
 * of wall time where the system does not tell that (other than Linux).
 *
 *   npm run bench:encode [-- device]
 *
 * The device `null` runs nothing: its times are of the host alone, so a change of a few per cent can be seen, and no share of a step is asked.
 *
 * It prints milliseconds and dispatches, and then how much of that running ahead of the device leaves in a step's wall time. It fails above
 * 3 ms for model S (12 units) and 10 ms for 32 narrow layers (64 units), and for S above 1 % of the least time of a step.
 */

import { type OpenedDevice, openDevice } from '../src/index.ts';
import { bareEngine, bareRun } from './bare.ts';
import { openNullDevice } from './nullDevice.ts';
import { type ModelSpec, modelSpec } from './spec.ts';
import { median, minimum } from './stats.ts';
import { threadClock } from './threadTime.ts';

interface Case {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly steps: number;
  readonly mostMs: number;
  /** The most that passes, as a share of a step's time. Narrow layers show what a unit costs; their steps take next to no time. */
  readonly mostShare: number;
}

const CASES: readonly Case[] = [
  { name: 'S, 12 units', spec: modelSpec('S'), steps: 40, mostMs: 3, mostShare: 0.01 },
  { name: '64 units', spec: { vocab: 256, dim: 64, heads: 4, layers: 32, ffn: 172, batch: 1, seq: 32 }, steps: 60, mostMs: 10, mostShare: 1 },
];

const TURNS = 5;
const TURN_STEPS = 20;

const clock = threadClock();

/** Measures one case. Returns whether it passes. */
async function measure(opened: Pick<OpenedDevice, 'device'>, { name, spec, steps, mostMs, mostShare }: Case): Promise<boolean> {
  const engine = await bareEngine(opened, spec);
  const ms: number[] = [];
  const stepMs: number[] = [];
  let started = 0;
  let dispatches = 0;
  await bareRun({
    engine: {
      ...engine,
      step: (...given) => {
        const result = engine.step(...given);
        ms.push(clock.now() - started);
        dispatches = Math.max(dispatches, result.dispatches);
        return result;
      },
    },
    spec,
    steps,
    rate: 0.5,
    ahead: 0,
    onStart: () => {
      started = clock.now();
    },
    onStep: (metrics) => void stepMs.push(metrics.ms),
  });
  engine.destroy();
  const best = minimum(ms);
  // the median leaves out the first steps, which compile and look everything up
  const share = median(ms) / minimum(stepMs);
  const passed = best <= mostMs && share <= mostShare;
  console.log(
    `${name}: ${best.toFixed(2)} ms (median ${median(ms).toFixed(2)}), at most ${dispatches} dispatches, ${(100 * share).toFixed(2)} % of a step of ${minimum(stepMs).toFixed(0)} ms; ${passed ? 'within' : 'ABOVE'} ${mostMs} ms${Number.isFinite(mostShare) ? ` and ${100 * mostShare} %` : ''}`,
  );
  return passed;
}

/** Prints the wall time of a step that is waited for before the next one is encoded, and of steps that run ahead: the least of some turns. */
async function overlap(opened: Pick<OpenedDevice, 'device'>, { name, spec }: Case): Promise<void> {
  const engine = await bareEngine(opened, spec);
  const best = new Map([0, 2].map((ahead) => [ahead, Number.POSITIVE_INFINITY]));
  for (let turn = 0; turn < TURNS; turn++)
    for (const [ahead, least] of best) {
      const started = performance.now();
      await bareRun({ engine, spec, steps: TURN_STEPS, rate: 0.5, ahead });
      best.set(ahead, Math.min(least, (performance.now() - started) / TURN_STEPS));
    }
  engine.destroy();
  console.log(`${name}, wall time of a step: ${[...best].map(([ahead, ms]) => `${ms.toFixed(1)} ms with ${ahead} ahead`).join(', ')}`);
}

const wanted = process.argv[2] ?? 'auto';
const idle = wanted === 'null';
const opened = idle ? await openNullDevice() : await openDevice({ device: wanted });
console.log(`${idle ? 'a device that runs nothing' : opened.device.profile.name}; ${process.version}; ${clock.name} time`);
for (const one of CASES) if (!(await measure(opened, idle ? { ...one, steps: 1000, mostShare: Number.POSITIVE_INFINITY } : one))) process.exitCode = 1;
if (!idle) for (const one of CASES.slice(-1)) await overlap(opened, one);
opened.device.destroy();

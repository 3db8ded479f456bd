/** @file Sensitivities in a run: measuring them changes nothing but the rates that follow, and a run that goes on knows them. */

import { compileModel } from '../../src/compile/compile.ts';
import type { DropPlanConfig } from '../../src/dropbp/plans/index.ts';
import { createEngine, type Engine } from '../../src/runtime/execute.ts';
import { initialValues } from '../../src/train/init.ts';
import { type Measured, newState, type StepMetrics, type TrainState, train } from '../../src/train/loop.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const STEPS = 8;
const DROP = { kind: 'dropbp', rate: 0.5, after: 0.34, batches: 2, allocation: 'optimal' } as const;
const batchAt = (k: number) =>
  tokenBatch(
    [2, 9],
    Int32Array.from({ length: 18 }, (_, i) => (i * 11 + k) % 37),
  );

interface Run {
  readonly lines: StepMetrics[];
  readonly measured: Measured[];
  readonly state: TrainState;
}

async function run(engine: Engine, drop: DropPlanConfig, from: TrainState, until = STEPS): Promise<Run> {
  const lines: StepMetrics[] = [];
  const measured: Measured[] = [];
  const state = await train({
    engine,
    state: from,
    batches: { at: batchAt },
    config: {
      steps: STEPS,
      seed: 5,
      accumulate: 2,
      clip: 1,
      missingGrad: 'skip',
      allDropped: 'backward',
      drop,
      schedule: 'constant',
      warmupSteps: 0,
      optimizer: { name: 'adamw', lr: 1e-2, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 },
    },
    onStep: (m) => void lines.push(m),
    onMeasured: (m) => void measured.push(m),
    stop: () => from.step >= until,
  });
  return { lines, measured, state };
}

const told = ({ lines }: Pick<Run, 'lines'>): unknown[] => lines.map(({ loss, gradNorm, dropped }) => ({ loss, gradNorm, dropped }));

it.each([false, true])(
  'tied weights, LoRA with dropout %p: measured is as if given, and a run goes on with what it measured',
  async (adapted) => {
    const traced = tinyModel({ numLayers: 3, ...(adapted ? { lora: { dropout: 0.3 } } : {}) });
    const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
    const engine = await createEngine(opened.device, program, { micros: 2, decays: () => true, optimizer: 'adamw', probes: 'norms' });
    const start = (): TrainState => {
      traced.params.forEach((p, i) => {
        const size = p.shape.reduce((a, b) => a * b, 1);
        engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, size, p.name, 1));
        if (p.trainable) for (const kind of ['m', 'v'] as const) engine.writeMoment(i, kind, new Float32Array(size));
      });
      return newState(engine);
    };
    const whole = await run(engine, DROP, start());
    expect(whole.measured.map((m) => m.step)).toEqual([2]);
    const { units, sensitivities, flops, officialFlops } = whole.measured[0]!;
    expect(units).toEqual(traced.units);
    for (const s of sensitivities) expect(s).toBeGreaterThan(0);
    expect(flops).toBeLessThan(0.75 * officialFlops);

    const given = await run(engine, { ...DROP, sensitivities: Object.fromEntries(units.map((u, i) => [u, sensitivities[i]!])) }, start());
    expect(given.measured).toEqual([]);
    expect(told(given)).toEqual(told(whole));
    const uniform = await run(engine, { kind: 'uniform', rate: 0.5 }, start());
    expect(told(uniform).slice(0, 2)).toEqual(told(whole).slice(0, 2));
    expect(told(uniform)).not.toEqual(told(whole));

    const part = await run(engine, DROP, start(), 5);
    expect(part.lines).toHaveLength(5);
    const rest = await run(engine, DROP, JSON.parse(JSON.stringify(part.state)) as TrainState);
    expect(rest.measured).toEqual([]);
    expect([...told(part), ...told(rest)]).toEqual(told(whole));
    engine.destroy();
  },
  300_000,
);

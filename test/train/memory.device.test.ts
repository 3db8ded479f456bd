/** @file Memory of a run: what was predicted is what the device is asked for, to the byte; under a budget the run stays within it, and its losses do not change. */

import { compileModel } from '../../src/compile/compile.ts';
import { createDropPlan, type DropPlanConfig } from '../../src/dropbp/plans/index.ts';
import { createEngine } from '../../src/runtime/execute.ts';
import type { Program } from '../../src/runtime/program.ts';
import { initialValues } from '../../src/train/init.ts';
import { newState, planModel, train } from '../../src/train/loop.ts';
import { type MemoryPlan, planMemory } from '../../src/train/memoryPlan.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { openCounting } from '../support/countingDevice.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tinyModel } from '../support/tinyModels.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let opened: TestDevice;
beforeAll(async () => {
  opened = await openTestDevice();
});
afterAll(() => opened.device.destroy());

const STEPS = 12;
const batch = tokenBatch(
  [2, 24],
  Int32Array.from({ length: 48 }, (_, i) => (i * 11) % 37),
);
const DROPS: readonly DropPlanConfig[] = [{ kind: 'none' }, { kind: 'uniform', rate: 0.5, sampling: 'fixed-budget' }, { kind: 'layerdrop', rate: 0.3 }];

function planned(program: Program, drop: DropPlanConfig, budget: number | null): MemoryPlan {
  const plan = createDropPlan(drop, planModel({ program }, STEPS));
  const { maxBufferSize } = opened.device.profile.limits;
  return planMemory({ program, plan, seed: 5, steps: STEPS, accumulate: 1, optimizer: 'adamw', decays: () => true, maxBufferSize, budget });
}

it.each(DROPS.map((drop) => [drop.kind, drop] as const))(
  '%s: predicted is allocated, and a budget is kept without changing a loss',
  async (_kind, drop) => {
    const traced = tinyModel({ numLayers: 4, dims: { B: 2, T: 24 } });
    const { program } = compileModel(traced, { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
    const losses = async (memory: MemoryPlan): Promise<{ losses: number[]; again: number }> => {
      const { device, counts } = await openCounting();
      const { forms, activations, fitted } = memory;
      const engine = await createEngine(device, program, { micros: 1, decays: () => true, optimizer: 'adamw', forms, activations });
      expect(counts.allocatedBytes).toBe(memory.total);
      traced.params.forEach((p, i) => {
        const size = p.shape.reduce((a, b) => a * b, 1);
        engine.writeParam(i, p.table ? p.table() : initialValues({ kind: 'normal', std: 0.2 }, size, p.name, 1));
      });
      const found: number[] = [];
      let again = 0;
      await train({
        engine,
        state: newState(engine),
        batches: { at: () => batch },
        fitted(pattern) {
          const forms = fitted(pattern);
          again += [...forms.values()].filter((f) => f === 'remat').length;
          expect(engine.linker.link(forms).stackBytes).toBeLessThanOrEqual(memory.activations.stackBytes);
          return forms;
        },
        config: {
          steps: STEPS,
          seed: 5,
          accumulate: 1,
          clip: 1,
          missingGrad: 'skip',
          allDropped: 'backward',
          drop,
          schedule: 'constant',
          warmupSteps: 0,
          optimizer: { name: 'adamw', lr: 1e-3, betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 },
        },
        onStep: (m) => void found.push(m.loss),
      });
      engine.destroy();
      device.destroy();
      return { losses: found, again };
    };
    const free = planned(program, drop, null);
    const roomy = planned(program, drop, free.total);
    // a plan that never keeps all units needs less than any pattern might
    expect(roomy.total).toBeLessThanOrEqual(free.total);
    expect(roomy.worst.again).toBe(0);
    const tight = planned(program, drop, roomy.total - Math.floor(0.3 * roomy.activations.stackBytes));
    expect(tight.total).toBeLessThanOrEqual(roomy.total - Math.floor(0.3 * roomy.activations.stackBytes));
    expect(tight.worst.again).toBeGreaterThan(0);
    expect(tight.worst.againShare).toBeGreaterThan(0);
    const [a, b] = [await losses(roomy), await losses(tight)];
    expect(b.losses).toEqual(a.losses);
    expect(a.again).toBe(0);
    expect(b.again).toBeGreaterThan(0);
    expect(() => planned(program, drop, 1000)).toThrow(/^memoryBudget: is 1000 bytes, expected at least \d+: \d+ for activations/);
    const least = Number(/at least (\d+)/.exec(messageOf(() => planned(program, drop, 1000)))![1]);
    expect(planned(program, drop, least).total).toBeLessThanOrEqual(least);
  },
  300_000,
);

it('sensitivities are measured within a budget that holds everything of a step, and no other', async () => {
  const drop = { kind: 'dropbp', rate: 0.5, after: 0.25, batches: 1, allocation: 'optimal' } as const;
  const { program } = compileModel(tinyModel({ numLayers: 4 }), { device: { traits: opened.traits, maxBuffers: 8 }, optimizers: ['adamw'] });
  const { total } = planned(program, drop, null);
  expect(() => planned(program, drop, total - 1)).toThrow(`memoryBudget: is ${total - 1} bytes, expected at least ${total}: sensitivities are to be measured`);
  const { forms, activations } = planned(program, drop, total);
  const { device, counts } = await openCounting();
  const engine = await createEngine(device, program, { micros: 1, decays: () => true, optimizer: 'adamw', forms, activations, probes: 'norms' });
  expect(counts.allocatedBytes).toBe(total);
  engine.destroy();
  device.destroy();
});

/** @file Sensitivities against the reference code: norms of every gradient with each unit dropped, and what is made of them. */

import { join } from 'node:path';
import { compileModel } from '../../src/compile/compile.ts';
import { createPlan } from '../../src/dropbp/plans/index.ts';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { openSafetensors, readInts } from '../../src/formats/safetensors.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { neutralScalar } from '../../src/runtime/scalars.ts';
import { aboutModel, loraOf, traceCheckpoint, trainableModel } from '../../src/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { microBatch, planModel } from '../../src/train/loop.ts';
import { planMemory } from '../../src/train/memory.ts';
import { sensitivitiesOf } from '../../src/train/sensitivity.ts';
import { loadAdapter } from '../../src/trainer/adapter.ts';
import { decaysOf, startEngine } from '../../src/trainer/engine.ts';
import { checkpointWeights } from '../../src/trainer/weights.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice } from '../support/testDevice.ts';

withFixtures('dropbp', (folder) => {
  const { runs } = readJson(join(folder, 'reference.json')).sensitivity;

  it.each(['full', 'lora'])('%s: norms and sensitivities are those of the reference', async (method) => {
    const { device, traits } = await openTestDevice();
    const checkpoint = openCheckpoint(join(folder, 'model'));
    const adapter = method === 'lora' ? loadAdapter(join(folder, 'lora_adapter')) : null;
    const lora = adapter && loraOf(adapter);
    const traced = traceCheckpoint(checkpoint, { mode: trainingMode(16), dims: { B: 1, T: 16 }, lora, trains: lora ? 'adapter' : 'full' });
    const compiled = compileModel(traced, { target: { device: traits, maxBuffers: 8 }, optimizers: ['sgd'] });
    const model = trainableModel(traced, compiled, aboutModel('model', checkpoint.config, traced, lora));
    const { program } = compiled;
    const plan = createPlan({ kind: 'dropbp', rate: 0.5 }, planModel(model, 10));
    const { maxBufferSize } = device.limits;
    const decays = decaysOf(program, 'all');
    const { activations } = planMemory({ program, plan, seed: 0, steps: 10, accumulate: 1, optimizer: 'sgd', decays, maxBufferSize, budget: null });
    const engine = await startEngine(device, model, checkpointWeights(checkpoint, adapter?.weights ?? null), {
      micros: 1,
      optimizer: 'sgd',
      decay: 'all',
      seed: 0,
      memory: { activations },
    });
    const batch = openSafetensors(join(folder, 'batch.safetensors'));
    const row = (name: string): Int32Array => readInts(batch, name).slice(0, 16);
    const micro = microBatch(makeBatch(1, 16, row('input_ids'), row('labels'), null, checkpoint.config.vocabSize), [], neutralScalar);
    const probe = await engine.probe(micro);
    // twice: it left everything as it was
    expect(await engine.probe(micro)).toEqual(probe);

    const expected = runs[`${method}_gradnorm_true`];
    const close = (found: number, wanted: number): void => expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1e-3 * wanted + 1e-6);
    const fileName = (name: string): string => name.replace('.lora_A.weight', '.lora_A.default.weight').replace('.lora_B.weight', '.lora_B.default.weight');
    const normOf = (norms: Record<string, number>, name: string): number | undefined =>
      norms[name] ?? norms[fileName(name)] ?? norms[`base_model.model.${fileName(name)}`];
    let compared = 0;
    program.params.forEach(({ name, trainable }, p) => {
      if (!trainable) return;
      close(Math.sqrt(probe.whole[p]!), normOf(expected.grad_norms_nothing_dropped, name)!);
      for (const [unit, norms] of Object.entries<Record<string, number>>(expected.grad_norms_branch_dropped)) {
        close(Math.sqrt(probe.without.get(unit)![p]!), normOf(norms, name) ?? 0);
        compared++;
      }
    });
    expect(compared).toBeGreaterThan(600);
    const found = sensitivitiesOf(probe);
    expect([...found.keys()]).toEqual(Object.keys(expected.grad_norms_branch_dropped));
    [...found.values()].forEach((s, i) => close(s, expected.sensitivities[i]));
    expect(probe.flops).toBeLessThan(0.6 * probe.officialFlops);
    engine.destroy();
    device.destroy();
  });
});

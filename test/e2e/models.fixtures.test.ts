/** @file Every checkpoint of the fixtures against PyTorch: logits, loss, every gradient and the exact set of absent ones, for every pattern. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readInts } from '../../src/formats/safetensors.ts';
import { logitsMode, makeBatch, openCheckpoint, openSafetensors, openSession, readFloats, trainingMode } from '../../src/index.ts';
import { microBatch } from '../../src/train/loop.ts';
import { readJson, SHARED_FIXTURES, withFixtures } from '../formats/fixtureFolder.ts';
import { checkpointsIn, FAMILY_KINDS, refuseOthers, supportedOf } from '../support/fixtureModels.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { modelTolerances } from '../support/tolerance.ts';

/** Gradients whose largest element is below this are rounding noise. */
const ZERO = 1e-7;

interface Golden {
  readonly patterns: Readonly<Record<string, { readonly dropped: readonly string[]; readonly loss: number; readonly no_grad_params: readonly string[] }>>;
}

const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
const plain = { lora: null, micros: 1, optimizer: 'none', decay: 'matrices', seed: 0 } as const;

withFixtures('models', (root) => {
  let opened: TestDevice;
  beforeAll(async () => {
    opened = await openTestDevice();
  });
  afterAll(() => opened.device.destroy());

  it('every family that is supported has a checkpoint here, or in the set beside the checkout', () => {
    const sets = [...new Set([root, join(SHARED_FIXTURES, 'models')])].filter(existsSync);
    const found = new Set(sets.flatMap(checkpointsIn).map((model) => model.type));
    expect(FAMILY_KINDS.filter((type) => !found.has(type))).toEqual([]);
  });

  const models = checkpointsIn(root);
  refuseOthers(models);
  for (const { name, path: folder } of supportedOf(models)) {
    const golden = readJson(join(folder, 'golden.json')) as Golden;
    const tolerances = modelTolerances(root, name);
    const file = openSafetensors(join(folder, 'golden.safetensors'));
    const [batch = 0, length = 0] = file.tensors.get('input_ids')?.shape ?? [];
    const { vocabSize, maxPosition } = openCheckpoint(folder).config;
    /** More room than the batch takes, as far as there are positions. */
    const bounds = { B: batch + 1, T: Math.min(length + 3, maxPosition) };
    const inputs = (): ReturnType<typeof makeBatch> => {
      const mask = file.tensors.has('attention_mask') ? readInts(file, 'attention_mask') : null;
      return makeBatch(batch, length, readInts(file, 'input_ids'), readInts(file, 'labels'), mask, vocabSize);
    };

    it(`${name}: logits`, async () => {
      const session = await openSession(folder, opened, { ...plain, mode: logitsMode(bounds.T), dims: bounds, trains: 'nothing' });
      const given = inputs();
      const [logits] = await session.engine.forward({ ...given, scalar: ones });
      session.engine.destroy();
      const wanted = readFloats(file, 'logits');
      expect(logits).toHaveLength(wanted.length);
      let worst = 0;
      wanted.forEach((w, i) => {
        if (given.inputs['segments']?.[Math.floor(i / vocabSize)] === 1) worst = Math.max(worst, Math.abs(w - (logits?.[i] ?? Number.NaN)));
      });
      expect(worst).toBeLessThan(tolerances.logits);
    });

    it(`${name}: loss, gradients and absent gradients of every pattern`, async () => {
      const session = await openSession(folder, opened, { ...plain, mode: trainingMode(bounds.T), dims: bounds, trains: 'full' });
      const { engine } = session;
      for (const [pattern, expected] of Object.entries(golden.patterns)) {
        const result = engine.step([microBatch(inputs(), expected.dropped, ones)], null);
        const { losses } = await result.read();
        expect(Math.abs((losses[0] ?? Number.NaN) - expected.loss)).toBeLessThan(tolerances.loss);
        const touched = result.variants[0]!.touched;
        const absent = engine.program.params.filter((p, i) => p.trainable && !touched.has(i)).map((p) => p.name);
        expect(absent.sort()).toEqual([...expected.no_grad_params].sort());
        for (const [i, p] of engine.program.params.entries()) {
          if (!touched.has(i)) continue;
          const own = `grad.${pattern}.${p.name}`;
          const wanted = readFloats(file, file.tensors.has(own) ? own : `grad.none.${p.name}`);
          const top = wanted.reduce((m, w) => Math.max(m, Math.abs(w)), 0);
          const found = await engine.readParam(i, 'gradients');
          const off = wanted.reduce((m, w, k) => Math.max(m, Math.abs(w - found[k]!)), 0);
          if (top >= ZERO) expect({ name: p.name, pattern, ok: off <= tolerances.gradient(pattern) * top, off, top }).toMatchObject({ ok: true });
        }
      }
      engine.destroy();
    });
  }
});

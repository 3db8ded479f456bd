/** @file Every checkpoint of the fixtures against PyTorch: logits, loss, every gradient and the exact set of absent ones, for every pattern. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { openSafetensors, readFloats, readInts } from '../../src/formats/safetensors.ts';
import { logitsMode, trainingMode } from '../../src/models/inputs.ts';
import { openSession } from '../../src/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { microBatch } from '../../src/train/loop.ts';
import { subfolders, withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

const SUPPORTED = ['llama', 'gpt2'];
const LOGITS = 5e-4;
const LOSS = 1e-4;
const GRADIENT = 5e-4;
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

  for (const name of subfolders(root)) {
    const folder = join(root, name);
    const { model_type: type } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { model_type: string };
    if (!SUPPORTED.includes(type)) {
      it(`${name} is refused by name`, () => {
        expect(() => openCheckpoint(folder)).toThrow(type);
      });
      continue;
    }

    const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden;
    const file = openSafetensors(join(folder, 'golden.safetensors'));
    const [batch = 0, length = 0] = file.tensors.get('input_ids')?.shape ?? [];
    const inputs = (): ReturnType<typeof makeBatch> => {
      const mask = file.tensors.has('attention_mask') ? readInts(file, 'attention_mask') : null;
      return makeBatch(batch, length, readInts(file, 'input_ids'), readInts(file, 'labels'), mask, 2 ** 30);
    };

    it(`${name}: logits`, async () => {
      const session = await openSession(folder, opened, { ...plain, mode: logitsMode(length + 3), dims: { B: batch + 1, T: length + 3 }, trains: 'nothing' });
      const given = inputs();
      const [logits] = await session.engine.forward({ ...given, scalar: ones });
      session.engine.destroy();
      const wanted = readFloats(file, 'logits');
      const vocab = wanted.length / (batch * length);
      let worst = 0;
      wanted.forEach((w, i) => {
        if (given.inputs['segments']?.[Math.floor(i / vocab)] === 1) worst = Math.max(worst, Math.abs(w - (logits?.[i] ?? Number.NaN)));
      });
      expect(worst).toBeLessThan(LOGITS);
    });

    it(`${name}: loss, gradients and absent gradients of every pattern`, async () => {
      const session = await openSession(folder, opened, { ...plain, mode: trainingMode(length + 3), dims: { B: batch + 1, T: length + 3 }, trains: 'full' });
      const { engine } = session;
      for (const [pattern, expected] of Object.entries(golden.patterns)) {
        const result = engine.step([microBatch(inputs(), expected.dropped, ones)], null);
        const { losses } = await result.read();
        expect(Math.abs((losses[0] ?? Number.NaN) - expected.loss)).toBeLessThan(LOSS);
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
          if (top >= ZERO) expect({ name: p.name, pattern, ok: off <= GRADIENT * top, off, top }).toMatchObject({ ok: true });
        }
      }
      engine.destroy();
    });
  }
});

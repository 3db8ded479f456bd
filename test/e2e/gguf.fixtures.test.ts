/** @file GGUF files of mixed block types against PyTorch on the dequantised weights: logits, loss, gradient norms under Hugging Face's names. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readInts } from '../../src/formats/safetensors.ts';
import { logitsMode, makeBatch, openCheckpoint, openSafetensors, openSession, readFloats, trainingMode } from '../../src/index.ts';
import { microBatch } from '../../src/train/loop.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { runCli } from '../support/cli.ts';
import { ggufsIn, goldenOf, supportedOf } from '../support/fixtureModels.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';

interface Golden {
  readonly tensor_types: Readonly<Record<string, string>>;
  readonly patterns: Readonly<
    Record<string, { readonly dropped: readonly string[]; readonly loss: number; readonly grad_norms: Readonly<Record<string, number | null>> }>
  >;
}

const LOGITS = 2e-3;
const LOSS = 2e-4;
const NORM = 2e-3;
const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
const plain = { lora: null, micros: 1, optimizer: 'none', decay: 'matrices', seed: 0 } as const;

withFixtures('quant', (root) => {
  let opened: TestDevice;
  beforeAll(async () => {
    opened = await openTestDevice();
  });
  afterAll(() => opened.device.destroy());

  describe.each(supportedOf(ggufsIn(root)))('$name', (model) => {
    const { path, type } = model;
    const golden = readJson(goldenOf(model).json) as Golden;
    const file = openSafetensors(goldenOf(model).tensors);
    const [batch = 0, length = 0] = file.tensors.get('input_ids')?.shape ?? [];
    const ids = readInts(file, 'input_ids');
    const mask = file.tensors.has('attention_mask') ? readInts(file, 'attention_mask') : null;
    const inputs = makeBatch(batch, length, ids, file.tensors.has('labels') ? readInts(file, 'labels') : ids, mask, openCheckpoint(path).config.vocabSize);

    it('logits, with weights frozen in their blocks', async () => {
      const session = await openSession(path, opened, { ...plain, mode: logitsMode(length), dims: { B: batch, T: length }, trains: 'nothing' });
      const stored = new Set<string>(session.traced.params.filter((p) => !p.table).map((p) => p.dtype));
      expect(stored).toEqual(new Set(Object.values(golden.tensor_types).map((type) => type.toLowerCase())));
      const [logits] = await session.engine.forward({
        sizes: inputs.sizes,
        inputs: inputs.inputs,
        scalar: ones,
      });
      session.engine.destroy();
      const wanted = readFloats(file, 'logits');
      expect(logits).toHaveLength(wanted.length);
      const width = wanted.length / ids.length;
      const off = wanted.map((w, i) => (mask === null || mask[Math.floor(i / width)] === 1 ? Math.abs(w - logits![i]!) : 0));
      expect(Math.max(...off)).toBeLessThan(LOGITS);
    });

    it('loss and gradient norms of every pattern', async () => {
      const session = await openSession(path, opened, { ...plain, mode: trainingMode(length), dims: { B: batch, T: length }, trains: 'full' });
      const { engine } = session;
      for (const [pattern, expected] of Object.entries(golden.patterns)) {
        const result = engine.step([microBatch(inputs, expected.dropped, ones)], null);
        const { losses } = await result.read();
        expect(Math.abs(losses[0]! - expected.loss)).toBeLessThan(LOSS);
        const touched = result.variants[0]!.touched;
        for (const [i, p] of engine.program.params.entries()) {
          if (!p.trainable) continue;
          const wanted = expected.grad_norms[p.name];
          if (wanted === undefined) throw new Error(`${pattern}: the golden file has no norm of ${p.name}`);
          expect({ name: p.name, touched: touched.has(i) }).toEqual({ name: p.name, touched: wanted !== null });
          if (wanted === null) continue;
          const gradient = await engine.readParam(i, 'gradients');
          const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
          expect({ name: p.name, ok: Math.abs(norm - wanted) <= NORM * Math.max(wanted, 1e-3), norm, wanted }).toMatchObject({ ok: true });
        }
      }
      engine.destroy();
    });

    it('fine-tuned as a whole, it becomes a Hugging Face folder with its tokenizer, which loads and generates', async () => {
      const out = mkdtempSync(join(tmpdir(), 'ebb-gguf-'));
      const data = join(out, 'data.jsonl');
      writeFileSync(data, `${JSON.stringify({ text: 'the cat sat on the mat and the dog sat on the cat' })}\n`);
      const ran = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await runCli(args);
        expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
        return stdout;
      };
      await ran('train', '--model', path, '--data', data, '--out', join(out, 'run'), '--steps', '1', '--length', '8', '--lr', '1e-4');
      expect(await ran('check', join(out, 'run', 'result'))).toContain(type);
      const text = await ran('generate', join(out, 'run', 'result'), '--prompt', 'the cat', '--max-new-tokens', '4');
      expect(text.length).toBeGreaterThan(1);
      rmSync(out, { recursive: true });
    });
  });
});

/** @file SmolLM2-135M (Q4_1 GGUF) against transformers: logits, greedy text, loss and all gradient norms. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGenerator, logitsMode, makeBatch, openCheckpoint, openSession, trainingMode } from '../../src/index.ts';
import { microBatch } from '../../src/train/loop.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { runCli } from '../support/cli.ts';
import { withSmolLm2 } from '../support/smollm2.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { smolLm2Tolerances } from '../support/tolerance.ts';

interface Golden {
  readonly prompts: readonly {
    readonly ids: readonly number[];
    readonly top20_ids: readonly (readonly number[])[];
    readonly top20_logits: readonly (readonly number[])[];
    readonly logsumexp: readonly number[];
  }[];
  readonly greedy: readonly { readonly prompt_ids: readonly number[]; readonly new_ids: readonly number[] }[];
  readonly train: {
    readonly ids: readonly number[];
    readonly patterns: Readonly<
      Record<string, { readonly dropped: readonly string[]; readonly loss: number; readonly grad_norms: Readonly<Record<string, number | null>> }>
    >;
  };
}

const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);
const plain = { lora: null, micros: 1, optimizer: 'none', decay: 'matrices', seed: 0 } as const;

withFixtures('smollm2', (root) => withSmolLm2((file) => compareAll(root, file)));

function compareAll(root: string, smolLm2: string): void {
  const golden = readJson(join(root, 'golden.json')) as Golden;
  const tolerances = smolLm2Tolerances(root);
  let opened: TestDevice;
  beforeAll(async () => {
    opened = await openTestDevice();
  });
  afterAll(() => opened.device.destroy());

  it('compiles into a trainer with at most 120 kernels, full and LoRA', async () => {
    const out = mkdtempSync(join(tmpdir(), 'ebb-smollm2-'));
    for (const flags of [[], ['--lora']]) {
      const run = await runCli(['compile', smolLm2, '-o', out, ...flags, '--json']);
      expect(run.code).toBe(0);
      const { units, kernels } = JSON.parse(run.stdout) as { units: number; kernels: number };
      expect(units).toBe(2 * openCheckpoint(smolLm2).config.numLayers);
      expect(kernels).toBeLessThanOrEqual(120);
    }
    rmSync(out, { recursive: true });
  });

  it('logits of the prompts', async () => {
    const length = Math.max(...golden.prompts.map((p) => p.ids.length));
    const session = await openSession(smolLm2, opened, { ...plain, mode: logitsMode(length), dims: { B: 1, T: length }, trains: 'nothing' });
    const vocab = session.checkpoint.config.vocabSize;
    for (const prompt of golden.prompts) {
      const tokens = Int32Array.from(prompt.ids);
      const [logits] = await session.engine.forward({
        sizes: { B: 1, T: tokens.length },
        inputs: { tokens, segments: new Int32Array(tokens.length).fill(1) },
        scalar: ones,
      });
      prompt.top20_ids.forEach((ids, t) => {
        const row = logits!.subarray(t * vocab, (t + 1) * vocab);
        ids.forEach((id, k) => expect(Math.abs(row[id]! - prompt.top20_logits[t]![k]!)).toBeLessThan(tolerances.logits));
        const top = row.reduce((m, x) => Math.max(m, x), Number.NEGATIVE_INFINITY);
        const lse = top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
        expect(Math.abs(lse - prompt.logsumexp[t]!)).toBeLessThan(tolerances.logsumexp);
      });
    }
    session.engine.destroy();
  });

  it('greedy text', async () => {
    const capacity = Math.max(...golden.greedy.map(({ prompt_ids, new_ids }) => prompt_ids.length + new_ids.length));
    const generator = await createGenerator(openCheckpoint(smolLm2), opened, { capacity, lora: null });
    for (const { prompt_ids: prompt, new_ids: wanted } of golden.greedy) {
      const found: number[] = [];
      for await (const id of generator.generate(prompt, { maxNewTokens: wanted.length, temperature: 0, topK: 0, topP: 1, seed: 0, stopIds: [] }))
        found.push(id);
      expect(found).toEqual(wanted);
    }
    generator.close();
  });

  it('loss and gradient norms of every pattern', async () => {
    const ids = Int32Array.from(golden.train.ids);
    const session = await openSession(smolLm2, opened, { ...plain, mode: trainingMode(ids.length), dims: { B: 1, T: ids.length }, trains: 'full' });
    const { engine } = session;
    const batch = makeBatch(1, ids.length, ids, ids, null, session.checkpoint.config.vocabSize);
    for (const [pattern, expected] of Object.entries(golden.train.patterns)) {
      const result = engine.step([microBatch(batch, expected.dropped, ones)], null);
      const { losses } = await result.read();
      expect(Math.abs(losses[0]! - expected.loss)).toBeLessThan(tolerances.loss(pattern));
      const touched = [...result.variants[0]!.touched].map((i) => engine.program.params[i]!.name).sort();
      expect(touched).toEqual(
        Object.keys(expected.grad_norms)
          .filter((name) => expected.grad_norms[name] !== null)
          .sort(),
      );
      for (const [i, p] of engine.program.params.entries()) {
        const wanted = expected.grad_norms[p.name];
        if (wanted === undefined || wanted === null) continue;
        const found = Math.sqrt((await engine.readParam(i, 'gradients')).reduce((sum, g) => sum + g * g, 0));
        expect({ name: p.name, ok: Math.abs(found - wanted) <= tolerances.norm(pattern) * wanted, found, wanted }).toMatchObject({ ok: true });
      }
    }
    engine.destroy();
  });
}

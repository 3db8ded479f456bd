/** @file `ebb forward` and `ebb grad` as installed against PyTorch: Hugging Face folders, GGUF, adapters, and padding on the left. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors, readFloats, readInts, type SafetensorsFile, writeSafetensors } from '../../src/formats/safetensors.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { runCli } from '../support/cli.ts';
import { checkpointsIn, ggufsIn, goldenOf, supportedOf } from '../support/fixtureModels.ts';
import { modelTolerances } from '../support/tolerance.ts';
import { fixtureRuns, probeRows, runTolerances } from '../support/trainRun.ts';

/** Block-quantised weights. */
const GGUF = 2e-3;
const ZERO = 1e-7;

interface Pattern {
  readonly dropped: readonly string[];
  readonly loss: number;
  readonly no_grad_params: readonly string[];
  readonly grad_norms: Readonly<Record<string, number | null>>;
}
/** What `grad --json` prints. */
interface Report {
  readonly loss: number;
  readonly absent: readonly string[];
  readonly norms: Readonly<Record<string, number>>;
}

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-grad-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (name: string): string => join(scratch, name);

async function ran(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

async function logitsOf(model: string, batch: string, ...more: string[]): Promise<Float32Array> {
  await ran('forward', model, '--batch', batch, '--out', at('logits.safetensors'), ...more);
  return readFloats(openSafetensors(at('logits.safetensors')), 'logits');
}

/** 1 for tokens and 0 for padding, where a batch has any. */
const maskOf = (batch: SafetensorsFile): Int32Array | null => (batch.tensors.has('attention_mask') ? readInts(batch, 'attention_mask') : null);

/** Largest difference in rows that are no padding. */
function worst(found: Float32Array, wanted: Float32Array, mask: Int32Array | null, rows: number): number {
  expect(found).toHaveLength(wanted.length);
  const width = wanted.length / rows;
  return wanted.reduce((most, w, i) => (mask === null || mask[Math.floor(i / width)] === 1 ? Math.max(most, Math.abs(w - found[i]!)) : most), 0);
}

/** Flags that drop a pattern's units. */
const dropFlags = ({ dropped }: Pattern): string[] => (dropped.length === 0 ? [] : ['--drop', dropped.join(',')]);

/** A pattern that drops something, and not everything. */
function somePattern(patterns: Readonly<Record<string, Pattern>>): [string, Pattern] {
  const all = Math.max(...Object.values(patterns).map((p) => p.dropped.length));
  return Object.entries(patterns).find(([, p]) => p.dropped.length > 0 && p.dropped.length < all) ?? Object.entries(patterns)[0]!;
}

withFixtures('models', (root) => {
  const models = supportedOf(checkpointsIn(root));

  describe.each(models)('$name', ({ name, path: model }) => {
    const tolerances = modelTolerances(root, name);
    const batch = join(model, 'golden.safetensors');
    const golden = openSafetensors(batch);
    const mask = maskOf(golden);

    it('forward writes the logits', async () => {
      const rows = readInts(golden, 'input_ids').length;
      expect(worst(await logitsOf(model, batch), readFloats(golden, 'logits'), mask, rows)).toBeLessThan(tolerances.logits);
    });

    it('grad writes the gradients of a pattern under the checkpoint names, and no others', async () => {
      const [pattern, expected] = somePattern(readJson(join(model, 'golden.json')).patterns);
      const args = ['--batch', batch, ...dropFlags(expected), '--out', at('grads.safetensors'), '--json'];
      const report = JSON.parse(await ran('grad', model, ...args)) as Report;
      expect(Math.abs(report.loss - expected.loss)).toBeLessThan(tolerances.loss);
      expect([...report.absent].sort()).toEqual([...expected.no_grad_params].sort());
      const found = openSafetensors(at('grads.safetensors'));
      const stored = openSafetensors(join(model, 'golden.safetensors'));
      const names = [...stored.tensors.keys()].flatMap((key) => /^grad\.none\.(.+)$/.exec(key)?.[1] ?? []);
      expect([...found.tensors.keys()].sort()).toEqual(names.filter((n) => !expected.no_grad_params.includes(n)).sort());
      for (const param of found.tensors.keys()) {
        const own = `grad.${pattern}.${param}`;
        const wanted = readFloats(stored, stored.tensors.has(own) ? own : `grad.none.${param}`);
        const shape = stored.tensors.get(`grad.none.${param}`)?.shape;
        expect(found.tensors.get(param)).toMatchObject({ dtype: 'F32', shape });
        const top = wanted.reduce((m, w) => Math.max(m, Math.abs(w)), 0);
        if (top < ZERO) continue;
        const off = worst(readFloats(found, param), wanted, null, 1);
        expect({ param, ok: off <= tolerances.gradient(pattern) * top, off, top }).toMatchObject({ ok: true });
      }
    });
  });

  // One model of each family is enough for what is done to the batch.
  const ofFamilies = [...new Map(models.map((model) => [model.type, model])).values()];
  it.each(ofFamilies)('$name: padding on the right changes no logits of the tokens, nor on the left where positions are relative', async ({ path: model }) => {
    const golden = openSafetensors(join(model, 'golden.safetensors'));
    const [, length = 0] = golden.tensors.get('input_ids')!.shape;
    const row = [...readInts(golden, 'input_ids').slice(0, length)];
    // The first half of a sequence of the set is kept, and the other half becomes padding.
    const [ids, pad] = [row.slice(0, Math.ceil(length / 2)), row.slice(Math.ceil(length / 2))];
    writeFileSync(at('plain.json'), JSON.stringify({ input_ids: [ids] }));
    const ones = ids.map(() => 1);
    const masked = {
      input_ids: [
        [...pad, ...ids],
        [...ids, ...pad],
      ],
      attention_mask: [
        [...pad.map(() => 0), ...ones],
        [...ones, ...pad.map(() => 0)],
      ],
    };
    writeFileSync(at('padded.json'), JSON.stringify(masked));
    const plain = await logitsOf(model, at('plain.json'));
    const padded = await logitsOf(model, at('padded.json'));
    const width = plain.length / ids.length;
    const rows = ids.length + pad.length;
    // Rotary positions are relative: the model does not see how far a sequence was moved.
    const relative = 'ropeTheta' in openCheckpoint(model).config;
    for (const from of relative ? [pad.length, rows] : [rows]) {
      const part = padded.slice(from * width, (from + ids.length) * width);
      expect(worst(part, plain, null, 1)).toBeLessThan(1e-4);
    }
  });
});

withFixtures('quant', (root) => {
  it.each(supportedOf(ggufsIn(root)))('$name: logits and gradient norms under the hub names', async (file) => {
    const { path: model } = file;
    const batch = goldenOf(file).tensors;
    const golden = openSafetensors(batch);
    const rows = readInts(golden, 'input_ids').length;
    expect(worst(await logitsOf(model, batch), readFloats(golden, 'logits'), maskOf(golden), rows)).toBeLessThan(GGUF);
    const [, expected] = somePattern(readJson(goldenOf(file).json).patterns);
    let labelled = batch;
    if (!golden.tensors.has('labels')) {
      labelled = at('labelled.safetensors');
      const { shape } = golden.tensors.get('input_ids')!;
      writeSafetensors(
        labelled,
        ['input_ids', 'labels'].map((tensor) => ({ name: tensor, dtype: 'I32', shape, data: readInts(golden, 'input_ids') })),
      );
    }
    const report = JSON.parse(await ran('grad', model, '--batch', labelled, ...dropFlags(expected), '--json')) as Report;
    expect(Math.abs(report.loss - expected.loss)).toBeLessThan(GGUF);
    for (const [param, norm] of Object.entries(expected.grad_norms)) {
      if (norm === null) expect(report.absent).toContain(param);
      else expect({ param, ok: Math.abs(report.norms[param]! - norm) <= GGUF * Math.max(norm, 1e-3) }).toEqual({ param, ok: true });
    }
  });
});

withFixtures('train', (root) => {
  // One adapter for each model is enough for what is done to the batch.
  const adapted = fixtureRuns(root).filter(({ adapter, refusal }) => adapter !== null && refusal === null);
  const runs = [...new Map(adapted.map((run) => [run.base, run])).values()];
  it.each(runs)('$name: with its adapter, and gradients of the adapter alone', async (given) => {
    const { folder, base: model, run } = given;
    const adapter = join(folder, 'adapter');
    const ids = probeRows(given).map((row) => [...row]);
    writeFileSync(at('probe.json'), JSON.stringify({ input_ids: ids, labels: ids }));
    const wanted = readFloats(openSafetensors(join(folder, 'golden.safetensors')), 'probe_logits');
    expect(worst(await logitsOf(model, at('probe.json'), '--adapter', adapter), wanted, null, 1)).toBeLessThan(runTolerances(run).probe);
    await ran('grad', model, '--batch', at('probe.json'), '--adapter', adapter, '--out', at('adapter.safetensors'));
    const names = [...openSafetensors(join(adapter, 'adapter_model.safetensors')).tensors.keys()].sort();
    expect([...openSafetensors(at('adapter.safetensors')).tensors.keys()].sort()).toEqual(names);
  });
});

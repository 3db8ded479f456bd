/** @file Every training run of the fixtures against PyTorch: losses, gradient norms, absent gradients, update counts, moments, weights and logits. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/formats/checkpoint.ts';
import { readBatches } from '../../src/formats/dataset.ts';
import { openSafetensors, readFloats, readInts } from '../../src/formats/safetensors.ts';
import { widen } from '../../src/formats/weights.ts';
import { logitsMode, trainingMode } from '../../src/models/inputs.ts';
import { type LoraOptions, loraOf, openSession, traceCheckpoint } from '../../src/session.ts';
import { makeBatch } from '../../src/train/batches.ts';
import { parseConfig } from '../../src/train/config.ts';
import { newState, type StepMetrics, train, unitsOf } from '../../src/train/loop.ts';
import { loadAdapter } from '../../src/trainer/adapter.ts';
import { messageOf, readJson, subfolders, withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { expectWeights, isSupported, KEY_BIAS, LOSS, NORM, ownName, type Run, trainConfig, WEIGHT } from '../support/trainRun.ts';

/** Of the logits after training; the golden files measure 2e-4 between float32 and float64. */
const PROBE = 2e-3;
/** Of the norms of Adam's moments, relative. */
const STATE = 1e-3;

/** Weight decay as the run states it, in Ebb's terms; the list must be the one Ebb's rule gives. */
function decayOf(run: Run, params: readonly { readonly name: string; readonly shape: readonly number[] }[]): 'matrices' | 'all' {
  const stated = new Set(run.weight_decay_groups.decay.map(ownName));
  const rule = params.every((p) => stated.has(p.name)) && params.some((p) => p.shape.length < 2) ? 'all' : 'matrices';
  const decayed = params.filter((p) => rule === 'all' || p.shape.length >= 2).map((p) => p.name);
  expect(decayed.sort()).toEqual([...stated].sort());
  return rule;
}

const normOf = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0));

function expectNear(what: string, found: number, wanted: number, relative: number): void {
  if (!(Math.abs(found - wanted) <= relative * Math.max(Math.abs(wanted), 1e-6))) throw new Error(`the norm of ${what} is ${found}, expected ${wanted}`);
}

/** W + scale · B A; GPT-2 keeps W as [in, out]. */
function merged(
  weight: Float32Array,
  shape: readonly number[],
  a: Float32Array,
  b: Float32Array,
  { rank, scale }: { rank: number; scale: number },
  turned: boolean,
): Float32Array {
  const [rows = 0, columns = 0] = shape;
  const width = turned ? rows : columns;
  return weight.map((w, k) => {
    const [row, column] = [Math.floor(k / columns), k % columns];
    const [out, into] = turned ? [column, row] : [row, column];
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += b[out * rank + r]! * a[r * width + into]!;
    return w + scale * sum;
  });
}

/** Logits [1, T, vocabulary] of `ids` by a model whose parameters are written over. */
async function probe(
  base: string,
  opened: TestDevice,
  lora: LoraOptions | null,
  ids: Int32Array,
  values: ReadonlyMap<string, Float32Array>,
): Promise<Float32Array> {
  const { engine } = await openSession(base, opened, {
    mode: logitsMode(ids.length),
    dims: { B: 1, T: ids.length },
    lora,
    trains: 'nothing',
    micros: 1,
    optimizer: 'none',
    decay: 'matrices',
    seed: 0,
  });
  engine.program.params.forEach((p, i) => {
    const value = values.get(p.name);
    if (value) engine.writeParam(i, value);
  });
  const segments = new Int32Array(ids.length).fill(1);
  const [logits] = await engine.forward({ sizes: { B: 1, T: ids.length }, inputs: { tokens: ids, segments }, scalar: (n) => (n === 'branch_weight' ? 1 : 0) });
  engine.destroy();
  return logits!;
}

function expectLogits(found: Float32Array, wanted: Float32Array): void {
  expect(found).toHaveLength(wanted.length);
  expect(wanted.reduce((m, w, k) => Math.max(m, Math.abs(w - found[k]!)), 0)).toBeLessThan(PROBE);
}

withFixtures('train', (root) => {
  let opened: TestDevice;
  beforeAll(async () => {
    opened = await openTestDevice();
  });
  afterAll(() => opened.device.destroy());

  for (const family of subfolders(root)) {
    for (const name of subfolders(join(root, family))) {
      const folder = join(root, family, name);
      const run = readJson(join(folder, 'run.json')) as Run;
      const base = join(root, '..', run.base_checkpoint);
      if (!isSupported(run)) {
        it(`${family}/${name} is refused by name`, () => {
          if (existsSync(join(folder, 'adapter_init')))
            expect(messageOf(() => loadAdapter(join(folder, 'adapter_init')))).toMatch(run.method === 'dora' ? /use_dora is true/ : /peft_type is "IA3"/);
          else {
            const optimizer = run.optimizer.name
              .split(/[. (]/)
              .find((word) => /lion|ada|sgd|rms|lamb|muon/i.test(word))!
              .toLowerCase();
            const said = messageOf(() => parseConfig({ model: base, data: 'd', optimizer: { name: optimizer } }, 'run.yaml'));
            expect(said).toContain(`optimizer.name: is "${optimizer}", expected "adamw" or "sgd"`);
          }
        });
        continue;
      }

      it(`${family}/${name}`, async () => {
        const adapter = run.method === 'lora' ? loadAdapter(join(folder, 'adapter_init')) : null;
        const lora = adapter && loraOf(adapter);
        const ready = readBatches(join(root, family, 'batches.safetensors'));
        const size = ready.batch * ready.length;
        const checkpoint = openCheckpoint(base);
        const model = {
          mode: trainingMode(ready.length),
          dims: { B: ready.batch, T: ready.length },
          lora,
          trains: adapter ? ('adapter' as const) : ('full' as const),
        };
        const decay = decayOf(
          run,
          traceCheckpoint(checkpoint, model).params.filter((p) => p.trainable),
        );
        const session = await openSession(base, opened, {
          ...model,
          micros: run.gradient_accumulation,
          optimizer: run.optimizer.name.endsWith('AdamW') ? 'adamw' : 'sgd',
          decay,
          seed: 0,
        });
        const { engine } = session;
        const steps: StepMetrics[] = [];
        const seen: { touched: Set<number>; skipped: boolean[] }[] = [];
        const watched: typeof engine = {
          ...engine,
          step(micros, update) {
            const result = engine.step(micros, update);
            seen.push({
              touched: new Set(result.variants.flatMap((v) => [...v.touched])),
              skipped: result.variants.map((v) => v.calls.every((c) => c.phase === 'forward')),
            });
            return result;
          },
        };
        const state = await train({
          engine: watched,
          config: trainConfig(run),
          state: newState(engine),
          batches: {
            at: (i) => {
              const part = (data: Int32Array): Int32Array => data.slice(i * size, (i + 1) * size);
              return makeBatch(
                ready.batch,
                ready.length,
                part(ready.inputIds),
                part(ready.labels!),
                ready.attentionMask ? part(ready.attentionMask) : null,
                2 ** 30,
              );
            },
          },
          onStep: (m) => void steps.push(m),
        });
        expect(unitsOf(engine).length).toBeGreaterThan(0);
        run.log.forEach((expected, i) => {
          const found = steps[i]!;
          expected.losses.forEach((loss, k) => expect(Math.abs(loss - found.losses[k]!)).toBeLessThan(LOSS));
          expect(Math.abs(found.gradNorm - expected.grad_norm_before_clip)).toBeLessThanOrEqual(NORM * Math.max(expected.grad_norm_before_clip, 1e-3));
          expect(found.lr).toBeCloseTo(expected.lr, 10);
          expect(found.dropped.flat()).toEqual(expected.dropped.flat());
          expect(seen[i]!.skipped).toEqual([expected.backward_skipped].flat());
          const absent = engine.program.params.filter((p, k) => p.trainable && !seen[i]!.touched.has(k)).map((p) => p.name);
          expect(absent.sort()).toEqual(expected.params_without_grad.map(ownName).sort());
        });
        const counts = new Map(
          engine.storage.groups.flatMap((g, k) => g.params.map((p): [string, number] => [engine.program.params[p]!.name, state.updates[k]!])),
        );
        const byOwn = (record: Readonly<Record<string, number>>): Map<string, number> => new Map(Object.entries(record).map(([name, n]) => [ownName(name), n]));
        if (run.param_update_counts) expect(new Map([...counts].sort())).toEqual(new Map([...byOwn(run.param_update_counts)].sort()));
        const indexOf = (own: string): number => {
          const index = engine.program.params.findIndex((p) => p.name === own && p.trainable);
          if (index < 0) throw new Error(`${own} of the golden files is no trainable parameter of the model`);
          return index;
        };
        for (const [param, { step, exp_avg: m, exp_avg_sq: v }] of Object.entries(run.adam_state_norms ?? {})) {
          const own = ownName(param);
          expect([own, counts.get(own)]).toEqual([own, step]);
          expectNear(`m of ${own}`, normOf(await engine.readParam(indexOf(own), 'm')), m, STATE);
          expectNear(`v of ${own}`, normOf(await engine.readParam(indexOf(own), 'v')), v, STATE);
        }
        const trained = new Map<string, Float32Array>();
        for (const [i, p] of engine.program.params.entries()) if (p.trainable) trained.set(p.name, await engine.readParam(i));
        engine.destroy();
        for (const [param, norm] of Object.entries(run.final_norms)) {
          const found = trained.get(ownName(param));
          if (!found) throw new Error(`${param} of the golden norms is no trainable parameter of the model`);
          if (!KEY_BIAS.test(param)) expectNear(param, normOf(found), norm, WEIGHT);
        }
        const golden = openSafetensors(join(folder, 'golden.safetensors'));
        for (const tensor of golden.tensors.keys()) {
          if (!tensor.startsWith('final.')) continue;
          const own = ownName(tensor.slice(6));
          const found = trained.get(own);
          if (!found) throw new Error(`${tensor} of the golden file is no trainable parameter of the model`);
          expectWeights(own, found, readFloats(golden, tensor), run);
        }
        const ids = readInts(openSafetensors(join(root, family, 'batches.safetensors')), 'probe_input_ids');
        expectLogits(await probe(base, opened, lora, ids, trained), readFloats(golden, 'probe_logits'));
        if (!adapter) return;
        const whole = new Map(
          Object.entries(adapter.settings.layers).map(([layer, setting]): [string, Float32Array] => {
            const source = checkpoint.tensors.get(`${layer}.weight`)!;
            const [a, b] = [trained.get(`${layer}.lora_A.weight`)!, trained.get(`${layer}.lora_B.weight`)!];
            return [`${layer}.weight`, merged(widen(source), source.shape, a, b, setting, checkpoint.config.kind === 'gpt2')];
          }),
        );
        for (const tensor of golden.tensors.keys())
          if (tensor.startsWith('merged.')) expectWeights(tensor, whole.get(tensor.slice(7))!, readFloats(golden, tensor), run);
        expectLogits(await probe(base, opened, null, ids, whole), readFloats(golden, 'probe_logits_merged'));
      });
    }
  }
});

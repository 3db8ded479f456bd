/** @file Every training run of the fixtures against PyTorch: losses, gradient norms, absent gradients, update counts, moments, weights and logits. */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBatches } from '../../src/formats/batchesFile.ts';
import {
  type LoraOptions,
  logitsMode,
  makeBatch,
  newState,
  openCheckpoint,
  openSafetensors,
  openSession,
  readFloats,
  type StepMetrics,
  traceCheckpoint,
  train,
  trainingMode,
  unitsOf,
  widen,
  writeSafetensors,
} from '../../src/index.ts';
import { loadAdapter } from '../../src/run/adapter.ts';
import { loraOf } from '../../src/session/session.ts';
import { messageOf, readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { expectWeights, fixtureRuns, KEY_BIAS, ownName, probeRows, type Run, runTolerances, trainConfig, WEIGHT } from '../support/trainRun.ts';

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

/** Writes the checkpoint `base` into `folder` in f32, with `values` in place of some of its weights. */
function replaceWeights(base: string, values: ReadonlyMap<string, Float32Array>, folder: string): string {
  const sources = [...openCheckpoint(base).tensors.values()];
  const entries = sources.map((s) => ({ name: s.name, dtype: 'F32' as const, shape: s.shape, data: values.get(s.name) ?? widen(s) }));
  mkdirSync(folder, { recursive: true });
  writeSafetensors(join(folder, 'model.safetensors'), entries);
  copyFileSync(join(base, 'config.json'), join(folder, 'config.json'));
  return folder;
}

/** Logits [B, T, vocabulary] of `rows` by a model, with `values` written over parameters of its adapter. */
async function probe(
  base: string,
  opened: TestDevice,
  rows: readonly Int32Array[],
  lora: LoraOptions | null = null,
  values: ReadonlyMap<string, Float32Array> = new Map(),
): Promise<Float32Array> {
  const sizes = { B: rows.length, T: rows[0]!.length };
  const { engine } = await openSession(base, opened, {
    mode: logitsMode(sizes.T),
    dims: sizes,
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
  const tokens = Int32Array.from(rows.flatMap((row) => [...row]));
  const segments = new Int32Array(tokens.length).fill(1);
  const [logits] = await engine.forward({ sizes, inputs: { tokens, segments }, scalar: (n) => (n === 'branch_weight' ? 1 : 0) });
  engine.destroy();
  return logits!;
}

function expectLogits(found: Float32Array, wanted: Float32Array, tolerance: number): void {
  expect(found).toHaveLength(wanted.length);
  expect(wanted.reduce((m, w, k) => Math.max(m, Math.abs(w - found[k]!)), 0)).toBeLessThan(tolerance);
}

withFixtures('train', (root) => {
  let opened: TestDevice;
  let scratch: string;
  beforeAll(async () => {
    opened = await openTestDevice();
    scratch = mkdtempSync(join(tmpdir(), 'ebb-train-'));
  });
  afterAll(() => {
    opened.device.destroy();
    rmSync(scratch, { recursive: true });
  });

  const runs = fixtureRuns(root);
  it('holds runs that are compared, with and without an adapter', () => {
    const compared = runs.filter((r) => r.refusal === null).map((r) => (r.adapter === null ? 'full' : 'adapter'));
    expect([...new Set(compared)].sort()).toEqual(['adapter', 'full']);
  });

  for (const given of runs) {
    const { name, folder, run, base, refusal } = given;
    if (refusal !== null) {
      it(`${name} is refused by name`, () => {
        const said = messageOf(refusal.refuse);
        for (const words of refusal.words) expect(said).toContain(words);
      });
      continue;
    }

    it(name, async () => {
      const adapter = given.adapter === null ? null : loadAdapter(given.adapter);
      const lora = adapter && loraOf(adapter);
      const tolerances = runTolerances(run);
      const ready = readBatches(given.batches);
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
        optimizer: trainConfig(run).optimizer.name,
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
              checkpoint.config.vocabSize,
            );
          },
        },
        onStep: (m) => void steps.push(m),
      });
      expect(unitsOf(engine).length).toBeGreaterThan(0);
      run.log.forEach((expected, i) => {
        const found = steps[i]!;
        expected.losses.forEach((loss, k) => expect(Math.abs(loss - found.losses[k]!)).toBeLessThan(tolerances.loss));
        expect(Math.abs(found.gradNorm - expected.grad_norm_before_clip)).toBeLessThanOrEqual(tolerances.norm * Math.max(expected.grad_norm_before_clip, 1e-3));
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
      const rows = probeRows(given);
      const plain = (values: ReadonlyMap<string, Float32Array>): Promise<Float32Array> =>
        probe(replaceWeights(base, values, join(scratch, name)), opened, rows);
      expectLogits(await (adapter ? probe(base, opened, rows, lora, trained) : plain(trained)), readFloats(golden, 'probe_logits'), tolerances.probe);
      if (!adapter) return;
      const { fan_in_fan_out: turned } = readJson(join(adapter.path, 'adapter_config.json'));
      const whole = new Map(
        Object.entries(adapter.settings.layers).map(([layer, setting]): [string, Float32Array] => {
          const source = checkpoint.tensors.get(`${layer}.weight`)!;
          const [a, b] = [trained.get(`${layer}.lora_A.weight`)!, trained.get(`${layer}.lora_B.weight`)!];
          return [`${layer}.weight`, merged(widen(source), source.shape, a, b, setting, turned)];
        }),
      );
      for (const tensor of golden.tensors.keys())
        if (tensor.startsWith('merged.')) expectWeights(tensor, whole.get(tensor.slice(7))!, readFloats(golden, tensor), run);
      expectLogits(await plain(whole), readFloats(golden, 'probe_logits_merged'), tolerances.probe);
    });
  }
});

/** @file Checkpoints of every stored type whose tensors have odd counts of elements: loss and gradients on a device are those of the same numbers in f32. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockType } from '../../src/formats/ggmlBlocks.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import { type LoraOptions, openSession, type Session, WITHOUT_UPDATES } from '../../src/session.ts';
import { initialValues } from '../../src/train/init.ts';
import { microBatch } from '../../src/train/loop.ts';
import { isAdapterParam } from '../../src/train/model.ts';
import { type StoredSizes, storedConfig, writeStoredFolder, writeStoredGguf } from '../support/storedModels.ts';
import { openTestDevice, type TestDevice } from '../support/testDevice.ts';
import { tokenBatch } from '../support/tokenBatch.ts';

let folder: string;
let opened: TestDevice;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-stored-'));
  opened = await openTestDevice();
});
afterAll(() => {
  opened.device.destroy();
  rmSync(folder, { recursive: true });
});

const LORA: LoraOptions = { layers: ['*'], rank: 3, alpha: 6, rslora: false, dropout: 0 };
const [B, T] = [2, 5];
const ones = (name: string): number => (name === 'branch_weight' || name === 'loss_scale' ? 1 : 0);

interface Ran {
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly dtypes: ReadonlySet<string>;
  /** Most parts that a tensor is bound in. */
  readonly parts: number;
}

/** The device of the tests, as one that binds no more than so many bytes at once. */
function binding(most: number): TestDevice {
  const bound = <T extends object>(target: T, overrides: Record<string | symbol, unknown>): T =>
    new Proxy(target, {
      get(object, key) {
        if (key in overrides) return overrides[key];
        const value = Reflect.get(object, key, object) as unknown;
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(object) : value;
      },
    });
  const limits = bound(opened.device.limits, { maxStorageBufferBindingSize: most });
  return { ...opened, device: bound(opened.device, { limits }) };
}

/** A step of an adapter over frozen weights, which are read back and have to be what the checkpoint holds. */
async function run(path: string, vocabSize: number, held: ReadonlyMap<string, Float32Array>, most: number): Promise<Ran> {
  const session: Session = await openSession(path, binding(most), { mode: trainingMode(T), dims: { B, T }, lora: LORA, trains: 'adapter', ...WITHOUT_UPDATES });
  const { engine } = session;
  // B of a fresh adapter is zero, and A would get no gradient
  for (const [i, p] of engine.program.params.entries())
    if (isAdapterParam(p.name))
      engine.writeParam(
        i,
        initialValues(
          { kind: 'normal', std: 0.2 },
          p.shape.reduce((a, b) => a * b, 1),
          p.name,
          1,
        ),
      );
  const tokens = Int32Array.from({ length: B * T }, (_, i) => (i * 7 + 1) % vocabSize);
  const targets = Int32Array.from({ length: B * T }, (_, i) => (i * 3 + 2) % vocabSize);
  const { losses } = await engine.step([microBatch(tokenBatch([B, T], tokens, targets), [], ones)], null).read();
  const gradients = new Map<string, Float32Array>();
  for (const [i, p] of engine.program.params.entries()) {
    if (p.trainable) gradients.set(p.name, await engine.readParam(i, 'gradients'));
    else if (!p.table) expect({ name: p.name, values: await engine.readParam(i) }).toEqual({ name: p.name, values: held.get(p.name) });
  }
  const parts = Math.max(1, ...engine.program.functions.flatMap((f) => f.dispatches.flatMap((d) => (d.parts ?? []).map((part) => part + 1))));
  engine.destroy();
  return { loss: losses[0]!, gradients, dtypes: new Set(engine.program.params.map((p) => p.dtype)), parts };
}

const ODD: StoredSizes = { hiddenSize: 7, headDim: 2, numHeads: 3, numKvHeads: 1, vocabSize: 37, intermediateSize: 9 };
const BLOCKED: StoredSizes = { ...ODD, hiddenSize: 32, intermediateSize: 32 };
const WIDE: StoredSizes = { ...ODD, hiddenSize: 256, intermediateSize: 256 };

const MANY = 301;
const WHOLE = 2 ** 27;

it.each<[string, 'safetensors' | 'gguf', StoredSizes, readonly BlockType[], number?]>([
  ['bf16', 'safetensors', ODD, ['bf16']],
  ['f16', 'safetensors', ODD, ['f16']],
  ['bf16', 'gguf', ODD, ['bf16']],
  ['f16', 'gguf', ODD, ['f16']],
  ['q8_0', 'gguf', BLOCKED, ['q8_0']],
  ['q4_0', 'gguf', BLOCKED, ['q4_0']],
  ['q6_k', 'gguf', WIDE, ['q6_k', 'q8_0']],
  ['bf16', 'safetensors', { ...ODD, hiddenSize: 63, vocabSize: MANY }, ['bf16'], 20480],
  ['q8_0', 'gguf', { ...BLOCKED, vocabSize: MANY }, ['q8_0'], 8192],
])(
  '%s in %s, %j',
  async (name, container, sizes, types, most = WHOLE) => {
    const config = storedConfig(sizes);
    const path = join(folder, `${name}-${container}${container === 'gguf' ? '.gguf' : ''}`);
    const held = (container === 'gguf' ? writeStoredGguf : writeStoredFolder)(path, config, () => types);
    const plain = join(folder, `${name}-${container}-plain`);
    const asFloats = writeStoredFolder(plain, config, () => ['f32'], held);
    const [stored, floats] = [await run(path, sizes.vocabSize, held, most), await run(plain, sizes.vocabSize, asFloats, WHOLE)];
    expect([...stored.dtypes]).toContain(name);
    expect([...floats.dtypes]).toEqual(['f32']);
    expect(stored.parts > 1).toBe(most < WHOLE);
    expect(Number.isFinite(floats.loss)).toBe(true);
    expect(Math.abs(stored.loss - floats.loss)).toBeLessThan(1e-4);
    for (const [param, wanted] of floats.gradients) {
      const found = stored.gradients.get(param)!;
      const most = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3);
      const off = wanted.reduce((m, x, i) => Math.max(m, Math.abs(x - found[i]!)), 0);
      expect({ param, ok: off < 2e-3 * most, off, most }).toMatchObject({ ok: true });
    }
  },
  300_000,
);

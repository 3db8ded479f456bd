/** @file Checkpoints of every stored type whose tensors have odd counts of elements: loss and gradients on a device are those of the same numbers in f32. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockType } from '../../src/formats/ggmlBlocks.ts';
import { initialValues, type LoraOptions, openSession, type Session, trainingMode } from '../../src/index.ts';
import { isDType } from '../../src/ir/types.ts';
import type { AdapterKind } from '../../src/runtime/adapterKind.ts';
import { WITHOUT_UPDATES } from '../../src/session/session.ts';
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
  const { profile } = opened.device;
  const limits = { ...profile.limits, maxStorageBufferBindingSize: most };
  return { ...opened, device: { ...opened.device, profile: { ...profile, limits } } };
}

/** A step of an adapter over frozen weights, which are read back and have to be what the checkpoint holds. */
async function run(path: string, device: TestDevice, vocabSize: number, held: ReadonlyMap<string, Float32Array>): Promise<Ran> {
  const session: Session = await openSession(path, device, { mode: trainingMode(T), dims: { B, T }, lora: LORA, trains: 'adapter', ...WITHOUT_UPDATES });
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

interface Case {
  readonly name: string;
  readonly container: 'safetensors' | 'gguf';
  readonly sizes: StoredSizes;
  readonly types: readonly BlockType[];
  /** Most bytes of a binding, where tensors are to be bound in parts. */
  readonly most?: number;
  /** What the kernels are made for; default the device. On CPUs weights are widened before they are used, elsewhere in the kernels' loads. */
  readonly kind?: AdapterKind;
}

const CASES: readonly Case[] = [
  { name: 'bf16 in safetensors', container: 'safetensors', sizes: ODD, types: ['bf16'] },
  { name: 'f16 in safetensors', container: 'safetensors', sizes: ODD, types: ['f16'] },
  { name: 'bf16 in GGUF', container: 'gguf', sizes: ODD, types: ['bf16'] },
  { name: 'f16 in GGUF', container: 'gguf', sizes: ODD, types: ['f16'] },
  { name: 'q8_0', container: 'gguf', sizes: BLOCKED, types: ['q8_0'] },
  { name: 'q4_0', container: 'gguf', sizes: BLOCKED, types: ['q4_0'] },
  { name: 'q6_k', container: 'gguf', sizes: WIDE, types: ['q6_k', 'q8_0'] },
  { name: 'q5_1, which no kernel reads', container: 'gguf', sizes: BLOCKED, types: ['q5_1'] },
  { name: 'q3_k, which no kernel reads, beside q8_0', container: 'gguf', sizes: { ...WIDE, intermediateSize: 96 }, types: ['q3_k', 'q8_0'] },
  { name: 'bf16, unpacked in loads', container: 'safetensors', sizes: ODD, types: ['bf16'], kind: 'other' },
  { name: 'f16, unpacked in loads', container: 'gguf', sizes: ODD, types: ['f16'], kind: 'other' },
  { name: 'q8_0, unpacked in loads', container: 'gguf', sizes: BLOCKED, types: ['q8_0'], kind: 'other' },
  { name: 'bf16, bound in parts', container: 'safetensors', sizes: { ...ODD, hiddenSize: 63, vocabSize: MANY }, types: ['bf16'], most: 20480 },
  { name: 'q8_0, bound in parts', container: 'gguf', sizes: { ...BLOCKED, vocabSize: MANY }, types: ['q8_0'], most: 8192 },
];

it.each(CASES)(
  '$name',
  async ({ container, sizes, types, most, kind = opened.traits.kind }) => {
    const config = storedConfig(sizes);
    const place = mkdtempSync(join(folder, 'case-'));
    const path = join(place, container === 'gguf' ? 'stored.gguf' : 'stored');
    const held = (container === 'gguf' ? writeStoredGguf : writeStoredFolder)(path, config, () => types);
    const plain = join(place, 'plain');
    const asFloats = writeStoredFolder(plain, config, () => ['f32'], held);
    const on = most === undefined ? opened : binding(most);
    const stored = await run(path, { ...on, traits: { ...on.traits, kind } }, sizes.vocabSize, held);
    const floats = await run(plain, opened, sizes.vocabSize, asFloats);
    expect([...stored.dtypes]).toEqual(expect.arrayContaining(types.slice(0, 1).map((type) => (isDType(type) ? type : 'f32'))));
    expect([...floats.dtypes]).toEqual(['f32']);
    expect(stored.parts > 1).toBe(most !== undefined);
    expect(Number.isFinite(floats.loss)).toBe(true);
    expect(Math.abs(stored.loss - floats.loss)).toBeLessThan(1e-4);
    for (const [param, wanted] of floats.gradients) {
      const found = stored.gradients.get(param)!;
      const largest = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3);
      const off = wanted.reduce((m, x, i) => Math.max(m, Math.abs(x - found[i]!)), 0);
      expect({ param, ok: off < 2e-3 * largest, off, largest }).toMatchObject({ ok: true });
    }
  },
  300_000,
);

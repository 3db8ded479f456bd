/** @file Weights on their way from disk to device: the right numbers for any type and count, and no more in memory than a piece. */

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { BLOCKS, type BlockType } from '../../src/formats/ggmlBlocks.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import { headerBytes } from '../../src/formats/safetensorsData.ts';
import { widen } from '../../src/formats/weights.ts';
import { isDType } from '../../src/ir/types.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { llama } from '../../src/models/llama/llama.ts';
import { loadParams, startsOf } from '../../src/run/engine.ts';
import { writeResult } from '../../src/run/result.ts';
import { namedWeights, type StoredTensor, startOf, startPieces, type Weights } from '../../src/run/startingValue.ts';
import { checkpointWeights, NO_WEIGHTS } from '../../src/run/weights.ts';
import type { DeviceBuffer } from '../../src/runtime/device.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { lastingValues } from '../../src/runtime/lasting.ts';
import { address, FIRST_OTHER } from '../../src/runtime/link/address.ts';
import { aligned } from '../../src/runtime/link/layout.ts';
import type { ParamInfo, Program } from '../../src/runtime/program.ts';
import { initialValues } from '../../src/train/init.ts';
import { messageOf, rejectionOf } from '../formats/fixtureFolder.ts';

import { fakeDevice } from '../support/fakeDevice.ts';
import { type StoredSizes, storedConfig, writeStoredFolder, writeStoredGguf } from '../support/storedModels.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-load-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const noTable = (): never => {
  throw new Error('no table was declared');
};

function paramOf(name: string, shape: readonly number[], dtype: string, trainable: boolean): ParamInfo {
  return { name, shape, dtype, bytes: 0, trainable, table: false, init: { kind: 'normal', std: 1 } };
}

/** An engine of parameters alone, over bytes of this process. */
function parametersOnly(params: readonly ParamInfo[]) {
  const fake = fakeDevice();
  const places: number[] = [];
  const end = params.reduce((at, p) => {
    places.push(at);
    return at + aligned(4 * p.shape.reduce((a, b) => a * b, 1));
  }, 0);
  const table: (DeviceBuffer | undefined)[] = [];
  table[FIRST_OTHER] = fake.buffer(end);
  const placement = { params: places.map((at) => address(FIRST_OTHER, at)), gradients: params.map(() => null), states: [], inputs: [] };
  return lastingValues({ device: fake.device, params, placement, buffers: table });
}

const HALVES: readonly BlockType[] = ['f16', 'bf16', 'f32'];
const odd = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most }).map((n) => 2 * n + 1);
const model = fc.record({
  container: fc.constantFrom('safetensors', 'gguf'),
  quantised: fc.boolean(),
  hiddenSize: odd(5),
  headDim: fc.integer({ min: 1, max: 3 }).map((n) => 2 * n),
  heads: fc.constantFrom([1, 1], [3, 1], [3, 3], [4, 2]),
  vocabSize: odd(20),
  intermediateSize: odd(9),
  types: fc.array(fc.constantFrom(...(Object.keys(BLOCKS) as BlockType[])), { minLength: 5, maxLength: 5 }),
  trained: fc.boolean(),
  most: fc.integer({ min: 1, max: 4000 }),
});

it('odd counts of every stored type, in safetensors and GGUF, trained and frozen, become the numbers of the reference conversion', async () => {
  await fc.assert(
    fc.asyncProperty(model, async ({ container, quantised, heads: [numHeads = 1, numKvHeads = 1], types, trained, most, ...rest }) => {
      // blocks lie along rows, so these have to be whole; their number stays odd with that of the rows
      const widths = quantised ? { hiddenSize: rest.hiddenSize < 6 ? 32 : 256, intermediateSize: 32 } : {};
      const sizes: StoredSizes = {
        headDim: rest.headDim,
        numHeads,
        numKvHeads,
        vocabSize: rest.vocabSize,
        hiddenSize: rest.hiddenSize,
        intermediateSize: rest.intermediateSize,
        ...widths,
      };
      const typesOf = (name: string): readonly BlockType[] => [
        types[name.length % types.length]!,
        types[(name.length + 1) % types.length]!,
        HALVES[name.length % 3]!,
      ];
      const config = storedConfig(sizes);
      const path = container === 'gguf' ? join(folder, 'odd.gguf') : join(folder, 'odd');
      const expected = (container === 'gguf' ? writeStoredGguf : writeStoredFolder)(path, config, typesOf);
      const checkpoint = openCheckpoint(path);
      const params = [...checkpoint.tensors.values()].map(({ name, shape, dtype }) =>
        paramOf(name, shape, trained || !isDType(dtype) ? 'f32' : dtype, trained),
      );
      const values = parametersOnly(params);
      const weights = checkpointWeights(checkpoint);
      for (const [i, p] of params.entries()) {
        for await (const { offset, data } of startPieces(p, startOf(p, weights, noTable), 0, most)) values.writeParam(i, data, offset);
        const wanted = expected.get(p.name)!;
        for (const found of [await values.readParam(i), widen(checkpoint.tensors.get(p.name)!)])
          expect({ name: p.name, count: found.length, same: wanted.every((x, k) => x === found[k]) }).toEqual({
            name: p.name,
            count: wanted.length,
            same: true,
          });
      }
    }),
    { numRuns: 60 },
  );
});

it('numbers that are drawn are the same in pieces', async () => {
  const p = paramOf('w', [7, 13], 'f32', true);
  const found: number[] = [];
  for await (const { data } of startPieces(p, { kind: 'drawn' }, 3, 40)) found.push(...(data as Float32Array));
  expect(found).toEqual([...initialValues(p.init, 91, 'w', 3)]);
});

it('what is not drawn, and what is stored otherwise, is refused by name', async () => {
  const only = (p: ParamInfo, weights: Weights): Promise<void> => {
    const engine = { program: { params: [p] } as unknown as Program, writeParam: () => {}, uploaded: async () => {} };
    return Promise.resolve().then(() => loadParams(engine, startsOf({ program: engine.program, table: noTable }, weights), 0));
  };
  expect(await rejectionOf(only(paramOf('w', [3], 'bf16', false), NO_WEIGHTS))).toBe(
    'parameter w is not trained and is stored as bf16: it comes with a checkpoint, it is not drawn; give weights',
  );
  const tensor: StoredTensor = { name: 'w', shape: [3], dtype: 'f16', byteLength: 6, unit: 2, read: (_, length) => new Uint8Array(length) };
  const of = (change: Partial<StoredTensor>): Weights => ({ path: 'm', tensors: new Map([['w', { ...tensor, ...change }]]), adapter: null });
  expect(await rejectionOf(only(paramOf('w', [3], 'bf16', false), of({})))).toContain('m: tensor w is stored as f16, the model was compiled for bf16');
  expect(await rejectionOf(only(paramOf('w', [3], 'f32', true), of({ read: () => new Uint8Array(4) })))).toBe(
    'm: tensor w: 4 bytes were read from byte 0 on, expected 6',
  );
});

it('doubles are refused with what makes them fit', () => {
  const info = { name: 'w', dtype: 'F64', shape: [3], byteOffset: 0, byteLength: 24 } as const;
  expect(messageOf(() => namedWeights('m.safetensors', new Map([['w', info]]), () => new Uint8Array(24)))).toBe(
    'm.safetensors: tensor w has dtype F64, expected F32, F16 or BF16; convert it to F32 (tensor.float() in PyTorch)',
  );
});

it('a NaN is refused in whichever piece it lies, with its file, tensor and element', async () => {
  const values = Float32Array.from({ length: 40 }, (_, i) => (i === 33 ? Number.NaN : i));
  const bytes = new Uint8Array(values.buffer);
  const tensor: StoredTensor = {
    name: 'w',
    shape: [40],
    dtype: 'f32',
    byteLength: 160,
    unit: 4,
    read: (offset, length) => bytes.slice(offset, offset + length),
  };
  const read = async (t: StoredTensor): Promise<void> => {
    for await (const _ of startPieces(paramOf('w', [40], 'f32', true), { kind: 'stored', path: 'm', tensor: t }, 0, 16));
  };
  expect(await rejectionOf(read(tensor))).toContain('m: tensor w holds NaN at element 33, expected finite numbers');
  expect(await rejectionOf(read({ ...tensor, file: 'm/model-2.safetensors' }))).toContain('m/model-2.safetensors: tensor w holds NaN at element 33');
});

/** A model of several hundred megabytes whose file takes no room: its numbers are zeros that the disk never stored. */
function sparseCheckpoint(path: string): { readonly bytes: number; readonly largest: number } {
  const config = storedConfig({ hiddenSize: 1024, headDim: 64, numHeads: 16, numKvHeads: 4, vocabSize: 65_537, intermediateSize: 4096 }, { numLayers: 4 });
  const model = llama.ofSettings(config);
  const entries = [...model.tensors()].map(({ name, shape }) => ({ name, shape, dtype: 'BF16' as const }));
  const sizes = entries.map(({ shape }) => 2 * shape.reduce((a, b) => a * b, 1));
  const header = headerBytes(entries, {});
  const bytes = sizes.reduce((a, b) => a + b, 0);
  writeFileSync(join(path, 'config.json'), JSON.stringify(model.configJson()));
  const handle = openSync(join(path, 'model.safetensors'), 'w');
  writeSync(handle, header);
  ftruncateSync(handle, header.length + bytes);
  closeSync(handle);
  return { bytes, largest: Math.max(...sizes) };
}

describe('a model of several hundred megabytes', () => {
  let path: string;
  let bytes: number;
  let largest: number;
  beforeAll(() => {
    path = mkdtempSync(join(folder, 'sparse-'));
    ({ bytes, largest } = sparseCheckpoint(path));
    expect(bytes).toBeGreaterThan(350e6);
  });

  it.each([
    ['frozen, as it is stored', false],
    ['trained, widened to f32', true],
  ])(
    'is loaded with less than its largest tensor in memory: %s',
    async (_, trained) => {
      /** Bytes that were read and not yet handed over, and those the device's queue holds. */
      let [read, staged, peak, loaded] = [0, 0, 0, 0];
      const counted = (tensor: StoredTensor): StoredTensor => ({
        ...tensor,
        read: (offset, length) => {
          read += length;
          peak = Math.max(peak, read + staged);
          return tensor.read(offset, length);
        },
      });
      const checkpoint = openCheckpoint(path);
      const weights: Weights = { ...checkpointWeights(checkpoint), tensors: new Map([...checkpoint.tensors].map(([name, t]) => [name, counted(t)])) };
      const params = [...checkpoint.tensors.values()].map(({ name, shape, dtype }) => paramOf(name, shape, trained ? 'f32' : dtype, trained));
      const engine = {
        program: { params } as unknown as Program,
        writeParam: (_param: number, data: ArrayBufferView) => {
          staged += data.byteLength;
          loaded += data.byteLength;
          // what was read, what it was converted to, and the queue's copies
          peak = Math.max(peak, read + data.byteLength + staged);
          read = 0;
        },
        uploaded: async () => void (staged = 0),
      };
      await loadParams(engine, startsOf({ program: engine.program, table: noTable }, weights), 0);
      expect({ loaded, staged }).toEqual({ loaded: trained ? 2 * bytes : bytes, staged: 0 });
      expect(peak).toBeLessThan(largest);
      expect(peak).toBeLessThan(bytes / 4);
    },
    120_000,
  );

  it('is written with a piece of it in memory', async () => {
    const params = ['a', 'b', 'c'].map((name) => paramOf(name, [5, 1000], 'f32', true));
    let [live, most] = [0, 0];
    const engine = {
      program: { params },
      async *readPieces(i: number) {
        for (let part = 0; part < 5; part++) {
          most = Math.max(most, ++live);
          yield new Float32Array(1000).fill(10 * i + part);
          live--;
        }
      },
    };
    const out = join(folder, 'result');
    await writeResult(out, engine as unknown as Engine, { lora: null }, NO_WEIGHTS, 'checkpoint');
    expect({ live, most }).toEqual({ live: 0, most: 1 });
    const file = openSafetensors(join(out, 'model.safetensors'));
    expect([...file.tensors.keys()]).toEqual(['a', 'b', 'c']);
    expect(file.size).toBeGreaterThan(3 * 20_000);
  });
});

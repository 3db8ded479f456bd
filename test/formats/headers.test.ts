/** @file Models without their weights: a configuration, an index without shards, files of which the first bytes alone are there. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { bytesSource } from '../../src/formats/bytes.ts';
import { parseGguf, readGgufHeader } from '../../src/formats/gguf.ts';
import type { JsonObject } from '../../src/formats/json.ts';
import { type SafetensorsEntry, writeSafetensors } from '../../src/formats/safetensors.ts';
import { headerEnd, PREFIX, parseSafetensors, readSafetensorsHeader } from '../../src/formats/safetensorsHeader.ts';
import { describeModel, openCheckpoint, readHfConfig } from '../../src/models/checkpoint.ts';
import { llama3Factors } from '../../src/models/ggufRope.ts';
import { messageOf } from './fixtureFolder.ts';
import { ggufBytes, tinyLlamaGguf } from './ggufWriter.ts';

let root: string;
let folder: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ebb-headers-'));
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'm-'));
});
afterAll(() => rmSync(root, { recursive: true }));

const CONFIG: JsonObject = {
  model_type: 'llama',
  vocab_size: 5,
  hidden_size: 4,
  intermediate_size: 6,
  num_hidden_layers: 1,
  num_attention_heads: 2,
};
const NEEDED = 'compile, inspect, plan, check and tune need no weights, everything else does';

const at = (name: string): string => join(folder, name);
const configure = (more: JsonObject = {}): void => writeFileSync(at('config.json'), JSON.stringify({ ...CONFIG, ...more }));
const entries = (): SafetensorsEntry[] =>
  [...readHfConfig('c', CONFIG).model.tensors()].map(({ name, shape }, i) => ({
    name,
    shape,
    dtype: i % 2 === 0 ? 'BF16' : 'F32',
    data: new Uint8Array((i % 2 === 0 ? 2 : 4) * shape.reduce((a, b) => a * b, 1)),
  }));
const dtypes = (path: string): string[] => [...describeModel(path).tensors.values()].map((t) => t.dtype);

describe('a header', () => {
  const safetensors = (): Uint8Array => {
    writeSafetensors(at('a.safetensors'), entries());
    return readFileSync(at('a.safetensors'));
  };
  it('is read wherever its file ends behind it; a whole file is asked for where weights are', () => {
    const files = [
      { bytes: Uint8Array.from(safetensors()), read: readSafetensorsHeader, parse: parseSafetensors },
      { bytes: ggufBytes(tinyLlamaGguf()), read: readGgufHeader, parse: parseGguf },
    ];
    for (const { bytes, read, parse } of files) {
      const whole = parse(bytesSource('f', bytes));
      const placed = [...whole.tensors.values()].map((t) => ({ start: t.byteOffset, end: t.byteOffset + t.byteLength }));
      const [start, end] = [Math.min(...placed.map((p) => p.start)), Math.max(...placed.map((p) => p.end))];
      fc.assert(
        fc.property(fc.integer({ min: 0, max: bytes.length }), (size) => {
          const source = bytesSource('f', bytes.subarray(0, size));
          // the last bytes before the data are padding
          if (size < start - 32) expect(messageOf(() => read(source))).toContain('f: ');
          if (size >= start) expect(read(source)).toEqual(whole);
          if (size >= end) expect(parse(source)).toEqual(whole);
          else expect(messageOf(() => parse(source))).toMatch(/^f: /);
        }),
        { numRuns: 300 },
      );
    }
  });
  it('of a safetensors file ends where its data begins', () => {
    const bytes = safetensors();
    const end = headerEnd('f', bytes.length, bytes.subarray(0, PREFIX));
    expect(end).toBe(Math.min(...[...parseSafetensors(bytesSource('f', bytes)).tensors.values()].map((t) => t.byteOffset)));
  });
});

describe('a configuration alone', () => {
  it.each<[JsonObject, string, string]>([
    [{ torch_dtype: 'bfloat16' }, 'bf16', 'torch_dtype in config.json'],
    [{ dtype: 'float16' }, 'f16', 'dtype in config.json'],
    [{ dtype: 'float32', torch_dtype: 'float16' }, 'f32', 'dtype in config.json'],
    [{ torch_dtype: 'torch.bfloat16' }, 'bf16', 'torch_dtype in config.json'],
    [{ torch_dtype: null }, 'f32', 'float32 to transformers, as config.json names no dtype'],
    [{}, 'f32', 'float32 to transformers, as config.json names no dtype'],
  ])('%j: tensors are %s, by %s', (fields, dtype, from) => {
    configure(fields);
    const { missing, tensors, notes } = describeModel(folder);
    expect(missing).toEqual({
      kind: 'configuration',
      message: `${folder}: holds no weights Ebb reads, expected model.safetensors or model.safetensors.index.json`,
      assumed: { dtype, from },
    });
    expect([...new Set([...tensors.values()].map((t) => t.dtype))]).toEqual([dtype]);
    expect([...tensors].map(([name, { shape, byteLength }]) => ({ name, shape, byteLength }))).toEqual(
      [...readHfConfig('c', CONFIG).model.tensors()].map(({ name, shape }) => ({
        name,
        shape,
        byteLength: shape.reduce((a, b) => a * b, 1) * (dtype === 'f32' ? 4 : 2),
      })),
    );
    expect(notes).toHaveLength(fields['dtype'] && fields['torch_dtype'] ? 1 : 0);
    expect(describeModel(folder, 'f16').missing?.assumed).toEqual({ dtype: 'f16', from: 'dtype' });
  });

  it('is no checkpoint, whatever dtype it names; an unknown one is refused by what describes', () => {
    configure({ torch_dtype: 'float8_e4m3fn' });
    writeFileSync(at('pytorch_model.bin'), '');
    expect(messageOf(() => describeModel(folder))).toBe(
      `${at('config.json')}: torch_dtype is "float8_e4m3fn", expected float32, float16 or bfloat16; say with dtype how the weights will be stored`,
    );
    expect(describeModel(at('config.json'), 'bf16').missing?.message).toContain('(found pytorch_model.bin)');
    expect(messageOf(() => openCheckpoint(folder))).toBe(
      `${folder}: holds no weights Ebb reads (found pytorch_model.bin), expected model.safetensors or model.safetensors.index.json; ${NEEDED}`,
    );
  });
});

describe('shards', () => {
  const half = Math.ceil(entries().length / 2);
  const index = (): void =>
    writeFileSync(
      at('model.safetensors.index.json'),
      JSON.stringify({ weight_map: Object.fromEntries(entries().map((e, i) => [e.name, i < half ? 'a.safetensors' : 'b.safetensors'])) }),
    );
  it('that are all absent leave the configuration, those that are there their headers', () => {
    configure({ torch_dtype: 'float16' });
    index();
    const named = `${at('model.safetensors.index.json')}: names "a.safetensors", "b.safetensors", expected in the same folder but not there`;
    expect(describeModel(folder).missing).toMatchObject({ kind: 'configuration', message: named });
    expect(dtypes(folder)).toEqual(entries().map(() => 'f16'));
    expect(messageOf(() => openCheckpoint(folder))).toBe(`${named}; ${NEEDED}`);
    writeSafetensors(at('a.safetensors'), entries().slice(0, half));
    expect(describeModel(folder).missing).toMatchObject({ message: expect.stringContaining('names "b.safetensors", expected'), assumed: { dtype: 'f16' } });
    expect(dtypes(folder)).toEqual(entries().map(({ dtype }, i) => (i < half ? dtype.toLowerCase() : 'f16')));
    writeSafetensors(at('b.safetensors'), entries().slice(half));
    expect(describeModel(folder).missing).toBeNull();
    expect(messageOf(() => describeModel(folder, 'f16'))).toBe(
      `dtype is f16, but ${folder} says itself how its tensors are stored (bf16, f32); leave dtype out`,
    );
    truncateSync(at('b.safetensors'), readFileSync(at('b.safetensors')).length - 1);
    expect(describeModel(folder).missing).toMatchObject({
      kind: 'cut',
      message: expect.stringMatching(/b\.safetensors: has \d+ of \d+ bytes: the data of 1 of its/),
      assumed: null,
    });
    expect(messageOf(() => openCheckpoint(folder))).toMatch(/b\.safetensors: has \d+ of \d+ bytes: .*, everything else does$/);
  });
  it('whose tensors are not those of the configuration are refused without them too', () => {
    configure({ num_hidden_layers: 2 });
    index();
    expect(messageOf(() => describeModel(folder))).toMatch(/"model\.layers\.1\..*" is missing.*num_hidden_layers is 2/);
  });
});

it('scaling of rotary embeddings that lies behind the end is asked for by name', () => {
  const input = tinyLlamaGguf();
  const factors = llama3Factors(4, 4_000_000, { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition: 8192 });
  const rope = { name: 'rope_freqs.weight', type: 0, dims: [2], data: new Uint8Array(factors.buffer) };
  mkdirSync(folder, { recursive: true });
  const whole = ggufBytes({ metadata: { ...input.metadata, 'llama.rope.freq_base': 4_000_000 }, tensors: [rope, ...input.tensors] });
  const start = parseGguf(bytesSource('f', whole)).tensors.get('rope_freqs.weight')!.byteOffset;
  writeFileSync(at('m.gguf'), whole.subarray(0, start + 8));
  expect(describeModel(at('m.gguf')).config).toMatchObject({ ropeScaling: { type: 'llama3', factor: 8 } });
  writeFileSync(at('m.gguf'), whole.subarray(0, start + 7));
  expect(messageOf(() => describeModel(at('m.gguf')))).toContain(
    `has ${start + 7} bytes, but rope_freqs.weight, which says how rotary embeddings are scaled, ends at byte ${start + 8}`,
  );
});

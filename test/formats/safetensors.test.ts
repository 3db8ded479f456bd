/** @file safetensors: what is written is read back, whatever it is; damaged files end in one readable error. */

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { bytesSource } from '../../src/formats/bytes.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, halfToFloat, i64ToI32 } from '../../src/formats/floats.ts';
import { openSafetensors, readFloats, readInts, readTensor, type SafetensorsEntry, writeSafetensors } from '../../src/formats/safetensors.ts';
import { parseSafetensors } from '../../src/formats/safetensorsHeader.ts';
import { openIndex } from '../../src/formats/safetensorsIndex.ts';
import { messageOf } from './fixtureFolder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-st-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const WIDTH = { F32: 4, F16: 2, BF16: 2, I32: 4, I64: 8 } as const;

const entries = fc.uniqueArray(
  fc
    .record({
      name: fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
      dtype: fc.constantFrom('F32', 'F16', 'BF16', 'I32', 'I64'),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    })
    .map(({ name, dtype, shape, seed }): SafetensorsEntry => {
      const size = shape.reduce((a, b) => a * b, 1) * WIDTH[dtype];
      return { name, dtype, shape, data: Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) & 255) };
    })
    .filter(({ name }) => name !== '__metadata__'),
  { selector: (e) => e.name, maxLength: 6 },
);

describe('writing and reading back', () => {
  it('gives the same names, types, shapes, bytes and metadata', () => {
    fc.assert(
      fc.property(entries, fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }), (list, metadata) => {
        const path = join(folder, 'round.safetensors');
        writeSafetensors(path, list, metadata);
        const file = openSafetensors(path);
        expect({ ...file.metadata }).toEqual({ ...metadata });
        expect(file.tensors.size).toBe(list.length);
        for (const { name, dtype, shape, data } of list) {
          expect(file.tensors.get(name)).toMatchObject({ name, dtype, shape });
          expect(Buffer.from(readTensor(file, name)).equals(Buffer.from(data as Uint8Array))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('leaves what was there when writing fails, and nothing beside it', () => {
    const path = join(folder, 'kept.safetensors');
    writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) }]);
    const before = readFileSync(path);
    const wrong: SafetensorsEntry[] = [{ name: 'a', dtype: 'F32', shape: [3], data: () => Float32Array.of(1) }];
    expect(messageOf(() => writeSafetensors(path, wrong))).toContain('tensor "a" has 4 bytes, expected 12');
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('refuses two tensors of one name', () => {
    const one: SafetensorsEntry = { name: 'a', dtype: 'F32', shape: [], data: new Float32Array(1) };
    expect(messageOf(() => writeSafetensors(join(folder, 'x'), [one, one]))).toContain('twice');
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  it('widens floats and integers', () => {
    const path = join(folder, 'types.safetensors');
    const values = Float32Array.of(1.5, -2, 0.25, 65504);
    writeSafetensors(path, [
      { name: 'f16', dtype: 'F16', shape: [4], data: f32ToF16(values) },
      { name: 'bf16', dtype: 'BF16', shape: [3], data: f32ToBf16(values.subarray(0, 3)) },
      { name: 'i64', dtype: 'I64', shape: [2], data: BigInt64Array.of(-100n, 7n) },
      { name: 'i32', dtype: 'I32', shape: [2], data: Int32Array.of(-1, 8) },
      { name: 'big', dtype: 'I64', shape: [1], data: BigInt64Array.of(1n << 40n) },
    ]);
    const file = openSafetensors(path);
    expect(readFloats(file, 'f16')).toEqual(values);
    expect(readFloats(file, 'bf16')).toEqual(values.slice(0, 3));
    expect(readInts(file, 'i64')).toEqual(Int32Array.of(-100, 7));
    expect(readInts(file, 'i32')).toEqual(Int32Array.of(-1, 8));
    expect(messageOf(() => readInts(file, 'big'))).toContain('1099511627776');
    expect(messageOf(() => readFloats(file, 'i32'))).toContain('dtype I32, expected F32');
    expect(messageOf(() => readTensor(file, 'none'))).toContain('tensor "none" is missing');
  });
});

describe('halves', () => {
  it('survive the way there and back, every finite one', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7c00) !== 0x7c00);
    const bytes = new Uint8Array(bits.buffer);
    expect(Buffer.from(f32ToF16(f16ToF32(bytes))).equals(Buffer.from(bytes))).toBe(true);
    const wide = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7f80) !== 0x7f80);
    const brain = new Uint8Array(wide.buffer);
    expect(Buffer.from(f32ToBf16(bf16ToF32(brain))).equals(Buffer.from(brain))).toBe(true);
  });

  it('are rounded to the nearest', () => {
    const finite = Array.from({ length: 0x7c00 }, (_, i) => halfToFloat(i));
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: -70000, max: 70000 }), (x) => {
        const found = f16ToF32(f32ToF16(Float32Array.of(x)))[0]!;
        const nearest = finite.reduce((least, y) => Math.min(least, Math.abs(Math.abs(x) - y)), Infinity);
        if (Math.abs(x) < 65520) expect(Math.abs(Math.abs(x) - Math.abs(found))).toBe(nearest);
        else expect(found).toBe(Math.sign(x) * Infinity);
      }),
      { numRuns: 100 },
    );
  });

  it('hold 64-bit integers of 32 bits only', () => {
    expect(i64ToI32('x', new Uint8Array(BigInt64Array.of(-2147483648n, 2147483647n).buffer))).toEqual(Int32Array.of(-2147483648, 2147483647));
    expect(messageOf(() => i64ToI32('x', new Uint8Array(BigInt64Array.of(2147483648n).buffer)))).toContain('2147483648');
  });
});

describe('damaged files', () => {
  const valid = (() => {
    const path = join(mkdtempSync(join(tmpdir(), 'ebb-st-')), 'v.safetensors');
    writeSafetensors(path, [
      { name: 'a', dtype: 'F32', shape: [2, 3], data: new Float32Array(6) },
      { name: 'b', dtype: 'I64', shape: [2], data: new BigInt64Array(2) },
    ]);
    return readFileSync(path);
  })();
  const onlyReadableErrors = (bytes: Uint8Array): void => {
    try {
      parseSafetensors(bytesSource('f', bytes));
    } catch (error) {
      expect(error).toHaveProperty('name', 'EbbError');
    }
  };

  it('never end in anything but a readable error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), onlyReadableErrors), { numRuns: 500 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(valid.length), (edits, cut) => {
        const bytes = Uint8Array.from(valid);
        for (const [at, value] of edits) bytes[at] = value;
        onlyReadableErrors(bytes);
        onlyReadableErrors(bytes.subarray(0, cut));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('an index', () => {
  it('finds every tensor in its shard; a missing shard or tensor is named', () => {
    writeSafetensors(join(folder, 's1.safetensors'), [{ name: 'a', dtype: 'F32', shape: [1], data: Float32Array.of(3) }]);
    const index = join(folder, 'model.safetensors.index.json');
    const write = (map: Record<string, string>): void => writeFileSync(index, JSON.stringify({ weight_map: map }));
    write({ a: 's1.safetensors' });
    const { files } = openIndex(index);
    expect(readFloats(files.get('a')!, 'a')).toEqual(Float32Array.of(3));
    write({ a: 's2.safetensors' });
    expect(openIndex(index)).toEqual({ files: new Map(), absent: new Map([['a', 's2.safetensors']]) });
    write({ a: 's1.safetensors', b: 's1.safetensors' });
    expect(messageOf(() => openIndex(index))).toContain('"b"');
    for (const shard of ['../s1.safetensors', '/etc/s1.safetensors', 'sub/s1.safetensors', 'a\\s1.safetensors', '..safetensors', 's1.bin']) {
      write({ a: shard });
      expect(messageOf(() => openIndex(index))).toContain('same folder');
    }
  });
});

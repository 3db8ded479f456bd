/** @file Blocks that are widened while they are loaded: against what the gguf package makes of them (ggmlBlocks/make.py), and in files whose sizes are damaged. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { EbbError } from '../../src/errors.ts';
import { bytesSource } from '../../src/formats/bytes.ts';
import { f32FromBytes } from '../../src/formats/floats.ts';
import { BLOCKS, type BlockType, dequantise } from '../../src/formats/ggmlBlocks.ts';
import { parseGguf } from '../../src/formats/gguf.ts';
import { widen } from '../../src/formats/weights.ts';
import { openCheckpoint } from '../../src/models/checkpoint.ts';
import { storedConfig, writeStoredGguf } from '../support/storedModels.ts';
import { messageOf } from './fixtureFolder.ts';
import { type GgufInput, ggufBytes, tinyLlamaGguf } from './ggufWriter.ts';

/** The types, with their numbers in GGUF files. */
const TYPES = { q5_0: 6, q5_1: 7, iq4_nl: 20, q2_k: 10, q3_k: 11, q5_k: 13 } as const;
type Widened = keyof typeof TYPES;
const NAMES = Object.keys(TYPES) as Widened[];

describe("the gguf package's blocks", () => {
  const source = bytesSource('blocks.gguf', readFileSync(join(__dirname, 'ggmlBlocks/blocks.gguf')));
  const { tensors } = parseGguf(source);
  const bytesOf = (name: string): Uint8Array => {
    const { byteOffset, byteLength } = tensors.get(name)!;
    return Uint8Array.from(source.read(byteOffset, byteLength));
  };

  it.each(NAMES)('%s, bit for bit', (type) => {
    const name = type.toUpperCase();
    expect(tensors.get(name)).toMatchObject({ type: name, dims: [512, 5] });
    const found = dequantise(type, bytesOf(name));
    const expected = f32FromBytes(bytesOf(`${name}.f32`));
    const wrong = found.findIndex((x, i) => !Object.is(x, expected[i]));
    expect({ length: found.length, wrong }).toEqual({ length: 5 * 512, wrong: -1 });
  });
});

describe('damaged sizes', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ebb-blocks-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const model = (type: BlockType): Uint8Array => {
    const path = join(folder, `${type}.gguf`);
    const sizes = { hiddenSize: 256, headDim: 2, numHeads: 1, numKvHeads: 1, vocabSize: 5, intermediateSize: 256 };
    writeStoredGguf(path, storedConfig(sizes), (name) => (/norm/.test(name) ? ['f32'] : [type]));
    return readFileSync(path);
  };
  /** Opens a model and reads all of its weights. */
  const readAll = (bytes: Uint8Array): void => {
    const path = join(folder, 'damaged.gguf');
    writeFileSync(path, bytes);
    for (const tensor of openCheckpoint(path).tensors.values()) widen(tensor);
  };

  /** What is said of a model, which may be nothing. */
  const saidOf = (bytes: Uint8Array): string =>
    messageOf(() => {
      readAll(bytes);
      throw new EbbError('nothing');
    });

  it.each(NAMES)(
    '%s: a file that is cut anywhere, and one whose header lies about shapes, types and places, ends in nothing but a sentence that names it',
    (type) => {
      const whole = model(type);
      const { tensors } = parseGguf(bytesSource('m', whole));
      const places = [...tensors.values()];
      const header = Math.min(...places.map((t) => t.byteOffset));
      const end = Math.max(...places.map((t) => t.byteOffset + t.byteLength));
      expect(() => readAll(whole)).not.toThrow();
      fc.assert(
        fc.property(fc.nat(end - 1), (size) => {
          const said = messageOf(() => readAll(whole.subarray(0, size)));
          expect(said).toContain('damaged.gguf: ');
          if (size >= header) expect(said).toMatch(/has \d+ of \d+ bytes: the data of \d+ of its 12 tensors is not all there, that of ".+" first/);
        }),
        { numRuns: 40 },
      );
      // what follows a tensor's name: how many dimensions, the dimensions, the type, the offset
      const infos = places.map(({ name, dims }) => ({ from: Buffer.from(whole).indexOf(name) + name.length, length: 16 + 8 * dims.length }));
      fc.assert(
        fc.property(fc.constantFrom(...infos), fc.nat(31), fc.integer({ min: 1, max: 255 }), ({ from, length }, at, flip) => {
          const bytes = Uint8Array.from(whole);
          bytes[from + (at % length)]! ^= flip;
          // another type that fits into the same place is no damage that a reader can see
          expect(saidOf(bytes)).toMatch(/damaged\.gguf: |^nothing$/);
        }),
        { numRuns: 60 },
      );
    },
  );

  it.each(NAMES)('%s: rows that are no whole blocks', (type) => {
    const { blockSize } = BLOCKS[type];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }).filter((row) => row % blockSize !== 0),
        fc.integer({ min: 1, max: 3 }),
        (row, rows) => {
          const tensor = { name: 'w', type: TYPES[type], dims: [row, rows], data: new Uint8Array(4096) };
          expect(messageOf(() => parseGguf(bytesSource('m.gguf', ggufBytes({ metadata: {}, tensors: [tensor] }))))).toBe(
            `m.gguf: tensor "w" is ${type.toUpperCase()} with rows of ${row} values, expected a multiple of ${blockSize}; the header is damaged: fetch or write the file again`,
          );
        },
      ),
    );
  });

  it('a type that Ebb does not read is refused by its name, with those it reads', () => {
    const input: GgufInput = tinyLlamaGguf();
    // MXFP4: 17 bytes for 32 values
    const [first, ...others] = input.tensors;
    const bytes = ggufBytes({ ...input, tensors: [{ ...first!, type: 39, dims: [32, 5], data: new Uint8Array(5 * 17) }, ...others] });
    expect(messageOf(() => readAll(bytes))).toContain(
      'damaged.gguf: tensor "token_embd.weight" has type MXFP4, expected one of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K; convert the model to one of these',
    );
  });
});

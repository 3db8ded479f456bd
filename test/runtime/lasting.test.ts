/** @file Parameters of every stored type and any count of elements: written whole or in pieces they are read back as what was stored, and neighbours stay. */

import * as fc from 'fast-check';
import { BLOCKS, type BlockType, dequantise } from '../../src/formats/ggmlBlocks.ts';
import { type Piece, piecesOf } from '../../src/formats/pieces.ts';
import type { DeviceBuffer } from '../../src/runtime/device.ts';
import { lastingValues, storedBytes } from '../../src/runtime/lasting.ts';
import { address, FIRST_OTHER } from '../../src/runtime/link/address.ts';
import { aligned } from '../../src/runtime/link/layout.ts';
import type { ParamInfo } from '../../src/runtime/program.ts';
import { messageOf } from '../formats/fixtureFolder.ts';
import { fakeDevice } from '../support/fakeDevice.ts';

const TYPES = Object.keys(BLOCKS) as BlockType[];

/** Random bytes of whole blocks; scales of blocks are numbers, so that values can be compared. */
function stored(dtype: BlockType, blocks: number, seed: number): Uint8Array {
  const { bytesPerBlock } = BLOCKS[dtype];
  const bytes = Uint8Array.from({ length: blocks * bytesPerBlock }, (_, i) => (Math.imul(i + 1, 2654435761) ^ Math.imul(seed + 1, 40503)) >>> 11);
  // no exponent of all ones in what is read as f16, bf16 or f32
  for (let i = 1; i < bytes.length; i += 2) bytes[i] = bytes[i]! & 0xbb;
  return bytes;
}

const param = fc.record({ dtype: fc.constantFrom(...TYPES), blocks: fc.integer({ min: 1, max: 23 }), seed: fc.nat(1000) });

/** Parameters side by side on a device, as an engine lays them out. */
function engineOf(list: readonly { readonly dtype: BlockType; readonly blocks: number }[]) {
  const fake = fakeDevice();
  const params = list.map(({ dtype, blocks }, i): ParamInfo => {
    const shape = [blocks * BLOCKS[dtype].blockSize];
    const bytes = Math.ceil((blocks * BLOCKS[dtype].bytesPerBlock) / 4) * 4;
    return { name: `p${i}`, shape, dtype, bytes, trainable: false, table: false, init: { kind: 'constant', value: 0 } };
  });
  let end = 0;
  const places = params.map((p) => {
    const at = end;
    end += aligned(p.bytes);
    return at;
  });
  const buffer = fake.buffer(end);
  const table: (DeviceBuffer | undefined)[] = [];
  table[FIRST_OTHER] = buffer;
  const placement = { params: places.map((at) => address(FIRST_OTHER, at)), gradients: params.map(() => null), states: [], inputs: [] };
  return { values: lastingValues({ device: fake.device, params, placement, buffers: table }), params, places, bytes: fake.bytesOf(buffer), fake };
}

/** Where a parameter may be cut: pieces of about `most` bytes. */
const cuts = (p: ParamInfo, most: number): Piece[] => [...piecesOf(storedBytes(p), BLOCKS[p.dtype as BlockType].bytesPerBlock, most)];

it('are read back as what was stored, in f32, whole and in pieces', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(param, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 200 }), fc.boolean(), async (list, most, whole) => {
      const { values, params, places, bytes } = engineOf(list);
      const data = list.map(({ dtype, blocks, seed }) => stored(dtype, blocks, seed));
      for (const [i, p] of params.entries()) {
        if (whole) values.writeParam(i, data[i]!);
        else for (const { offset, length } of cuts(p, most)) values.writeParam(i, data[i]!.subarray(offset, offset + length), offset);
      }
      for (const [i, { dtype }] of list.entries()) {
        const expected = dequantise(dtype, data[i]!);
        expect(expected.every(Number.isFinite)).toBe(true);
        expect(await values.readParam(i)).toEqual(expected);
        const pieces: Float32Array[] = [];
        for await (const piece of values.readPieces(i)) pieces.push(piece);
        expect(Float32Array.from(pieces.flatMap((piece) => [...piece]))).toEqual(expected);
        // what lies behind the last word belongs to nobody, and stays as it was
        const [from = 0, next = bytes.length] = places.slice(i, i + 2);
        expect([...bytes.subarray(from + params[i]!.bytes, next)].every((b) => b === 0xaa)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

it('take exactly their bytes, and pieces of whole words that lie in them', () => {
  const { values } = engineOf([{ dtype: 'bf16', blocks: 19839 }]);
  const bytes = (length: number): Uint8Array => new Uint8Array(length);
  expect(() => values.writeParam(0, bytes(39678))).not.toThrow();
  for (const length of [39676, 39679, 39680])
    expect(messageOf(() => values.writeParam(0, bytes(length)))).toBe(`parameter p0 was given ${length} bytes, it takes 39678`);
  expect(messageOf(() => values.writeParam(0, bytes(4), 2))).toContain('was given bytes 2 to 6, it takes whole words out of 39678 bytes');
  expect(messageOf(() => values.writeParam(0, bytes(6), 8))).toContain('bytes 8 to 14');
  expect(messageOf(() => values.writeParam(0, bytes(4), 39676))).toContain('bytes 39676 to 39680');
  expect(() => values.writeParam(0, bytes(2), 39676)).not.toThrow();
});

it('are on the device once they are uploaded', async () => {
  const { values, fake } = engineOf([{ dtype: 'f16', blocks: 5 }]);
  values.writeParam(0, new Uint8Array(10));
  expect(fake.staged()).toBe(12);
  await values.uploaded();
  expect(fake.staged()).toBe(0);
});

it('are cut where units begin, at whole words, and nothing is left out', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 5000 }), (unit, count, most) => {
      const pieces = [...piecesOf(unit * count, unit, most)];
      pieces.reduce((end, { offset, length }) => {
        expect(offset).toBe(end);
        expect(offset % unit).toBe(0);
        expect(offset % 4).toBe(0);
        expect(length).toBeLessThanOrEqual(Math.max(most, 4 * unit));
        return offset + length;
      }, 0);
      expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(unit * count);
    }),
  );
});

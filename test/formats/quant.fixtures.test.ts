/** @file Dequantised blocks against gguf-py, bit for bit. */

import { join } from 'node:path';
import { BLOCKS, type BlockType, dequantise } from '../../src/formats/ggmlBlocks.ts';
import { openSafetensors, readFloats, readTensor } from '../../src/formats/safetensors.ts';
import { readJson, withFixtures } from './fixtureFolder.ts';

withFixtures('quant', (folder) => {
  const file = openSafetensors(join(folder, 'gguf_blocks.safetensors'));
  const { types } = readJson(join(folder, 'gguf_blocks.json'));
  const names = [...file.tensors.keys()].filter((name) => name.endsWith('.raw')).map((name) => name.slice(0, -4));

  it('holds blocks', () => expect(names.length).toBeGreaterThan(0));

  for (const name of names) {
    it(`dequantises ${name} bit for bit`, () => {
      const type = name.toLowerCase() as BlockType;
      expect(BLOCKS[type]).toMatchObject({ blockSize: types[name].values_per_block, bytesPerBlock: types[name].bytes_per_block });
      const found = dequantise(type, readTensor(file, `${name}.raw`));
      const expected = readFloats(file, `${name}.f32`);
      const wrong = found.findIndex((x, i) => !Object.is(x, expected[i]));
      expect({ length: found.length, wrong }).toEqual({ length: expected.length, wrong: -1 });
    });
  }
});

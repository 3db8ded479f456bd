/** @file Paths as Windows writes them: names of models, kinds of files, and what is a hub id. */

import { win32 } from 'node:path';
import { dataFile } from '../../src/data/fileKinds.ts';
import { isHubId } from '../../src/formats/hub.ts';
import { isDefinition, nameOf } from '../../src/session/source.ts';

it('a model is called by its last folder or file, whatever separates them', () => {
  expect(nameOf(win32.join('C:\\', 'models', 'tiny-llama', 'model'))).toBe('tiny-llama');
  expect(nameOf(win32.join('..', 'net.ts'))).toBe('net');
  expect(nameOf(win32.join('C:\\', 'models', 'small.Q8_0.gguf'))).toBe('small.Q8_0');
});

it('a path of Windows is no hub id, and its ending says what it is', () => {
  for (const path of [win32.join('models', 'tiny'), win32.join('C:\\', 'models', 'tiny'), 'C:/models/tiny'])
    expect({ path, hub: isHubId(path) }).toEqual({ path, hub: false });
  expect(isDefinition(win32.join('models', 'net.mts'))).toBe(true);
  expect(dataFile(win32.join('C:\\', 'data', 'train.JSONL'))?.kind).toBe('lines');
});

/** @file The table of families: one folder and one line each, named nowhere else; what a family says of its files is what its model declares. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint, readHfConfig } from '../../src/models/checkpoint.ts';
import { logitsMode } from '../../src/models/inputs.ts';
import { traceModel } from '../../src/trace/trace.ts';
import { withFixtures } from '../formats/fixtureFolder.ts';
import { checkpointsIn, FAMILY_KINDS, supportedOf } from '../support/fixtureModels.ts';

const SRC = join(__dirname, '../../src');
const folders = readdirSync(join(SRC, 'models'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(SRC, file), 'utf8') }));

it('has one line for each folder', () => {
  const lines = readFileSync(join(SRC, 'models/families.ts'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('export'));
  expect(lines).toHaveLength(folders.length);
  folders.forEach((name) => expect(lines.filter((line) => line.includes(`'./${name}/`))).toHaveLength(1));
  expect(new Set(FAMILY_KINDS).size).toBe(folders.length);
});

it('is all that knows a family: nothing else imports from its folder, or asks for its kind', () => {
  for (const { file, text } of sources) {
    const own = /^models[\\/](\w+)[\\/]/.exec(file)?.[1];
    for (const name of folders) {
      if (name === own || file === join('models', 'families.ts')) continue;
      expect({ file, imports: new RegExp(`from '[^']*/${name}/[^']*'`).test(text) }).toEqual({ file, imports: false });
    }
    // tokenizers of GGUF files are called gpt2 and llama too, whatever the model
    if (own !== undefined || file === join('tokenizer', 'gguf.ts')) continue;
    for (const kind of FAMILY_KINDS) expect({ file, kind, named: text.includes(`'${kind}'`) }).toEqual({ file, kind, named: false });
  }
});

withFixtures('models', (root) => {
  for (const { name, path } of supportedOf(checkpointsIn(root))) {
    it(`${name}: the tensors of its files are the parameters that its model declares, in their order`, () => {
      const { model } = openCheckpoint(path);
      const { params } = traceModel(model.build(logitsMode(4)), { dims: { B: 1, T: 4 } });
      const declared = params.filter((p) => !p.table).map((p) => [p.name, p.shape]);
      expect([...model.tensors()].map((tensor) => [tensor.name, tensor.shape])).toEqual(declared);
    });

    it(`${name}: its config.json as Ebb writes it says the same`, () => {
      const { model } = openCheckpoint(path);
      expect(readHfConfig('config.json', model.configJson())).toMatchObject({ config: model.config, notes: [] });
    });
  }
});

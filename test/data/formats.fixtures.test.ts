/** @file Every kind of file that people have gives the same sequences as the reference libraries made of its records. */

import { join } from 'node:path';
import { readData } from '../../src/index.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';

interface Expected {
  readonly sequences: readonly { readonly ids: readonly number[]; readonly labels: readonly number[] }[];
}
interface Formats {
  readonly files: readonly { readonly path: string; readonly records: number; readonly set: string }[];
  readonly sets: Readonly<Record<string, { readonly tokenizer: string; readonly records: readonly { readonly expected: Expected }[] }>>;
}

withFixtures('data', (folder) => {
  const { files, sets } = readJson(join(folder, 'formats.json')) as unknown as Formats;
  it.each(files)('$path', async ({ path, records, set }) => {
    const { tokenizer, records: wanted } = sets[set]!;
    const reading = await readData(join(folder, path), { model: join(folder, 'tokenizers', tokenizer) });
    expect(reading.report.records).toBe(records);
    expect([...reading].map(({ ids, labels }) => ({ ids, labels }))).toEqual(
      wanted.flatMap(({ expected }) => expected.sequences.map(({ ids, labels }) => ({ ids, labels }))),
    );
  });
});

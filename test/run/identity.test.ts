/** @file What a run depends on, by content. */

import { createHash } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashFiles } from '../../src/formats/hashFiles.ts';
import { checkIdentity, hashParts, type Identity, modelFiles, newIdentity } from '../../src/run/identity.ts';
import { messageOf, rejectionOf } from '../formats/fixtureFolder.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-identity-'));
  for (const name of ['config.json', 'model.safetensors', 'README.md', 'data.jsonl', 'other.jsonl']) writeFileSync(join(folder, name), name);
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

const sources = (data: readonly string[] = ['data.jsonl'], plan = 'func main') => ({
  files: { model: modelFiles(folder), data: data.map(at), evalData: [at('other.jsonl')], adapter: [] },
  plan,
});
const now = async (...of: Parameters<typeof sources>): Promise<Omit<Identity, 'run'>> => ({ ebb: '1', parts: await hashParts(sources(...of)) });

it('is that of contents: files may have other names', async () => {
  const before = newIdentity('1', (await now()).parts);
  expect(Object.keys(before.parts).sort()).toEqual(['data', 'evalData', 'model', 'plan']);
  expect(before.parts['model']?.files?.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors']);
  renameSync(at('data.jsonl'), at('moved.jsonl'));
  writeFileSync(at('README.md'), 'another');
  const said: string[] = [];
  checkIdentity('run', before, await now(['moved.jsonl']), [], (text) => said.push(text));
  expect(said).toEqual([]);
});

const change = (name: string) => (): void => writeFileSync(at(name), 'another');
it.each<[string, () => void, Parameters<typeof sources>, string]>([
  ['data', change('data.jsonl'), [], 'run: the data is not what the run began with: data.jsonl is not as it was; .*--accept|accept data'],
  ['data', () => {}, [['data.jsonl', 'other.jsonl']], 'the data .*: other.jsonl is not as it was'],
  ['data', () => {}, [[]], 'the data .*: there is none now'],
  ['model', change('model.safetensors'), [], 'the model .*: model.safetensors is not as it was'],
  ['model', change('config.json'), [], 'the model .*: config.json is not as it was'],
  ['plan', () => {}, [['data.jsonl'], 'func other'], 'the compiled model .*: it is another one'],
])('refuses a change of %s by name, unless it is accepted', async (part, make, given, message) => {
  const before = newIdentity('1', (await now()).parts);
  make();
  const after = await now(...given);
  expect(messageOf(() => checkIdentity('run', before, after, [], () => {}))).toMatch(new RegExp(message));
  const said: string[] = [];
  checkIdentity('run', before, after, [part], (text) => said.push(text));
  expect(said.join()).toMatch(/is not what the run began with \(.*\), as accept allows/);
});

it('says what is accepted in vain, what changes no step, and what another version compiled', async () => {
  const before = newIdentity('1', (await now()).parts);
  writeFileSync(at('other.jsonl'), 'another');
  const said: string[] = [];
  checkIdentity('run', before, { ...(await now(['data.jsonl'], 'func other')), ebb: '2' }, ['data'], (text) => said.push(text));
  expect(said).toEqual([
    'accept names data, which is what the run began with',
    expect.stringMatching('held-out losses from here on are of other data'),
    'the compiled model is made by Ebb 2 now, and was by 1: steps may differ in their last digits',
  ]);
});

it('hashes small and large files alike, and names the one that is missing', async () => {
  const large = Buffer.alloc(33 * 2 ** 20, 'ebb');
  writeFileSync(at('large'), large);
  const own = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
  expect(await hashFiles([at('data.jsonl')])).toEqual([own('data.jsonl')]);
  expect(await hashFiles([at('data.jsonl'), at('large')])).toEqual([own('data.jsonl'), own(large)]);
  expect(await rejectionOf(hashFiles([at('large'), at('gone')]))).toContain('gone: no such file');
});

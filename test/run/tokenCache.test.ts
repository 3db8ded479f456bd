/** @file The cache of tokens: a second start tokenises nothing, and whatever tokens are made of makes others where it changes. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare } from '../../src/run/prepare.ts';

let folder: string;
let path: string;
let tokenizer: string;
const cached = (ending: string): string[] => readdirSync(join(folder, 'cache/ebb/tokens')).filter((name) => name.endsWith(ending));
const before = process.env['XDG_CACHE_HOME'];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-token-cache-'));
  process.env['XDG_CACHE_HOME'] = join(folder, 'cache');
  path = join(folder, 'data.jsonl');
  tokenizer = join(folder, 'tokenizer');
  mkdirSync(join(tokenizer, 'additional_chat_templates'), { recursive: true });
  const vocab = Object.fromEntries([...'abcdehijorstu:<>/ '].map((character, id) => [character, id]));
  writeFileSync(join(tokenizer, 'tokenizer.json'), JSON.stringify({ added_tokens: [], decoder: { type: 'Fuse' }, model: { type: 'BPE', vocab, merges: [] } }));
  writeFileSync(join(tokenizer, 'tokenizer_config.json'), '{}');
  template('{{ m.content }}');
  writeFileSync(path, '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n');
});
afterEach(() => {
  if (before === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = before;
  rmSync(folder, { recursive: true });
});

function template(answer: string): void {
  const text = `{% for m in messages %}${answer}{% endfor %}`;
  writeFileSync(join(tokenizer, 'additional_chat_templates', 'mine.jinja'), text);
}
async function tokens(): Promise<number[]> {
  const { sequences } = await prepare({}, false).tokenise({ path, tokenizer, length: 8, fields: {}, chatTemplate: 'mine', vocabSize: 99 });
  return [...sequences.at(0).tokens];
}

it('finds the tokens of an earlier start, with all that was said of them', async () => {
  const request = { path, tokenizer, length: 8, fields: {}, chatTemplate: 'mine', vocabSize: 99 };
  const [first, second] = [await prepare({}, false).tokenise(request), await prepare({}, false).tokenise(request)];
  expect(cached('.tokens')).toHaveLength(1);
  expect(second.report).toEqual(first.report);
  expect(second.sequences.at(0)).toEqual(first.sequences.at(0));
  expect(cached('.partial')).toEqual([]);
});

it('makes others where data, template or the cache itself is another', async () => {
  const first = await tokens();
  template('{{ m.content }}{{ m.content }}');
  expect(await tokens()).toHaveLength(2 * first.length);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"b"', '"cde"'));
  const changed = await tokens();
  expect(changed).toHaveLength(8);
  expect(cached('.tokens')).toHaveLength(3);
  for (const name of cached('.tokens')) {
    const file = join(folder, 'cache/ebb/tokens', name);
    writeFileSync(file, readFileSync(file).fill(0));
  }
  expect(await tokens()).toEqual(changed);
});

it('leaves nothing half written where a late record is wrong, while those before are still encoded', async () => {
  writeFileSync(path, `${'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n'.repeat(1100)}{"messages":[]}\n`);
  await expect(tokens()).rejects.toThrow('line 1101: messages is []');
  expect(readdirSync(join(folder, 'cache/ebb/tokens'))).toEqual([]);
});

it('holds tokens in memory where the cache cannot be written, and says so', async () => {
  writeFileSync(join(folder, 'cache'), '');
  const { report, sequences } = await prepare({}, false).tokenise({ path, tokenizer, length: 8, fields: {}, chatTemplate: 'mine', vocabSize: 99 });
  expect(sequences.length).toBe(1);
  expect(report.notes.at(-1)).toMatch(/^tokens are not kept for the next start: .*a part of the path is a file/);
});

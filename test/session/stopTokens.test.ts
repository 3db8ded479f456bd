/** @file Generation ends at every token that any of a checkpoint's files calls an end. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopTokens } from '../../src/session/stopTokens.ts';
import { buildTokenizer } from '../../src/tokenizer/build.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'ebb-stops-'));
});
afterEach(() => rmSync(path, { recursive: true }));

const added = ['</s>', '<eot>', '<end>', '<other>'].map((content, i) => ({ id: 3 + i, content, special: true }));
const json = { model: { type: 'BPE', vocab: { a: 0, b: 1, ':': 2 }, merges: [] }, added_tokens: added, decoder: { type: 'Fuse' } };
const template = "{% for m in messages %}:{{ m.content }}{% if m.role == 'assistant' %}<end>{% endif %}{% endfor %}";
const tokenizer = () =>
  buildTokenizer('tokenizer.json', { json, config: { eos_token: '</s>', eot_token: '<eot>' }, templates: new Map([['default', template]]) });
const checkpoint = (eosTokenIds: number[]) => ({ kind: 'hf', path, config: { eosTokenIds } }) as unknown as Parameters<typeof stopTokens>[0];

it('those of config.json, generation_config.json, the tokenizer, and the one that closes an answer', async () => {
  expect([...(await stopTokens(checkpoint([]), await tokenizer()))].sort()).toEqual([3, 4, 5]);
  writeFileSync(join(path, 'generation_config.json'), JSON.stringify({ eos_token_id: [3, 6] }));
  expect([...(await stopTokens(checkpoint([1]), await tokenizer()))].sort()).toEqual([1, 3, 4, 5, 6]);
});

it('an end that is no id is refused with its file', async () => {
  writeFileSync(join(path, 'generation_config.json'), JSON.stringify({ eos_token_id: ['</s>'] }));
  expect(await rejectionOf(stopTokens(checkpoint([]), await tokenizer()))).toMatch(
    /generation_config\.json: eos_token_id holds "<\/s>", expected ids of tokens/,
  );
});

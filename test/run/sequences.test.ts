/** @file What is said of the sequences that records become: how they begin and end, why some are left out, what the vocabulary does not cover. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openData } from '../../src/run/data.ts';
import { reportLines } from '../../src/run/dataReport.ts';
import { prepare } from '../../src/run/prepare.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

const folder = mkdtempSync(join(tmpdir(), 'ebb-sequences-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TOKENS = ['<b>', '<e>', '<stop>', '<u>', ...'abcdefghiju :?'];
const special = (content: string) => ({
  id: TOKENS.indexOf(content),
  content,
  special: true,
  normalized: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
});
const TEMPLATE =
  "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{{ '<stop>' if m.content != 'j' else '<e>' }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}";

/** A tokenizer of characters, and a file of records. */
function files(records: readonly object[], { model = {}, length = 64 }: { readonly model?: object; readonly length?: number } = {}) {
  const where = mkdtempSync(join(folder, 't'));
  const vocab = Object.fromEntries(TOKENS.map((token, id) => [token, id]));
  writeFileSync(
    join(where, 'tokenizer.json'),
    JSON.stringify({
      added_tokens: ['<b>', '<e>', '<stop>'].map(special),
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: { type: 'Fuse' },
      model: { type: 'BPE', unk_token: '<u>', fuse_unk: false, vocab, merges: [], ...model },
    }),
  );
  writeFileSync(join(where, 'tokenizer_config.json'), JSON.stringify({ eos_token: '<e>', pad_token: '<pad>', chat_template: TEMPLATE }));
  const path = join(where, 'data.jsonl');
  writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return { path, tokenizer: where, length, fields: {}, vocabSize: TOKENS.length };
}
const made = (...given: Parameters<typeof files>) => prepare({}, false).tokenise(files(...given));
/** What is said of them, but for how many there are, and that pad_token is none. */
const notesOf = async (...given: Parameters<typeof files>) =>
  reportLines((await made(...given)).report)
    .map((note) => note.replace(/^.*?: /, ''))
    .filter((note) => !/^(\d+ records? |the added_tokens)/.test(note));
/** Why a run refuses them. */
function refused(...given: Parameters<typeof files>) {
  const { path, tokenizer, ...rest } = files(...given);
  const inputs = ['tokens', 'targets', 'segments'].map((name) => ({ name, dtype: 'i32' as const, extent: { of: ['B', 'T'], bytes: 4 } }));
  return rejectionOf(openData(path, () => tokenizer, { ...rest, batch: 1, seed: 0, shuffle: false, inputs }, prepare({}, false)).loaded);
}
const chat = (content: string, more: object = {}) => ({
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content, ...more },
  ],
});
const CHAT = 'a conversation begins as the chat template writes it; an answer ends with';

it('says one kind of ending once, also where the first record is left out', async () => {
  expect(await notesOf([chat('j', { weight: 0 }), chat('b'), chat('c')])).toEqual([
    '1 sequence left out (records 1): nothing of them is to be learnt (no answer, an empty one, or one that is not to be)',
    `${CHAT} <stop>`,
  ]);
});

it('says each kind of ending, with how many sequences are of it', async () => {
  expect(await notesOf([chat('b'), chat('j'), chat('c')])).toEqual([`of 2 sequences: ${CHAT} <stop>`, `of 1 sequence: ${CHAT} <e>`]);
});

it('gives each reason for what is left out', async () => {
  const notes = await notesOf(
    [
      { prompt: 'abcdefgh', completion: 'i' },
      { prompt: 'a', completion: 'b' },
      { prompt: '', completion: '' },
    ],
    { length: 6 },
  );
  expect(notes.slice(0, 2)).toEqual([
    '1 sequence left out (records 1): what is to be learnt of them lies beyond 6 tokens; raise length',
    '1 sequence left out (records 3): nothing of them is learnt but the first token, which nothing comes before',
  ]);
});

it('refuses data of which nothing is learnt for its true reason', async () => {
  expect(await refused([chat('b', { weight: 0 })])).toMatch(
    /nothing of it is learnt\n.*\n.*1 sequence left out \(records 1\): nothing of them is to be learnt /,
  );
  expect(await refused([{ prompt: 'abcdefgh', completion: 'i' }], { length: 4 })).toMatch(/lies beyond 4 tokens; raise length$/);
});

it('says what the vocabulary does not cover, and refuses data of which it covers nothing', async () => {
  const records = ['ab', 'axy', 'XYZ', '   '].map((text) => ({ text }));
  expect(await notesOf(records)).toEqual(
    expect.arrayContaining([
      '5 of 8 tokens are <u>, for text that the vocabulary does not cover',
      expect.stringMatching(/^1 of 3 texts become no token but <u>/),
    ]),
  );
  expect(await rejectionOf(made([{ text: 'XYZ' }]))).toMatch(/every text becomes no token but <u>, since the vocabulary of .* covers none of it/);
  expect(await rejectionOf(made([{ text: 'XYZ' }], { model: { unk_token: null } }))).toContain('every text becomes no token, since');
});

it('names the record that cannot be encoded', async () => {
  const model = { type: 'Unigram', unk_id: null, vocab: TOKENS.map((token) => [token, -1]), merges: undefined };
  expect(await rejectionOf(made([{ text: 'ab' }, { text: 'a!b' }], { model }))).toMatch(
    /data\.jsonl: line 2: .*tokenizer\.json: the tokenizer cannot encode "a!b"/,
  );
});

it('pads with a token that the model has a row for', async () => {
  expect((await made([{ text: 'ab' }])).padId).toBe(TOKENS.indexOf('<e>'));
});

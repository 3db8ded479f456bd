/** @file The files beside a tokenizer.json, settled as transformers settles them (goldens/sideFiles.py made the golden file), and said where they contradict one another. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

interface Golden {
  readonly files: Readonly<Record<string, object>>;
  readonly ids: readonly (readonly number[])[];
  readonly framed: readonly number[];
  readonly eos: number | null;
  readonly pad: number | null;
  readonly tokens: number;
  readonly special: string;
}
const { texts, cases } = JSON.parse(readFileSync(join(__dirname, 'goldens/sideFiles.json'), 'utf8')) as {
  readonly texts: readonly string[];
  readonly cases: Readonly<Record<string, Golden>>;
};

const scratch = mkdtempSync(join(tmpdir(), 'ebb-side-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Writes the files of a golden, and others over them. Returns the folder. */
function write(name: string, others: Readonly<Record<string, object | string>> = {}): string {
  const folder = mkdtempSync(join(scratch, 'f'));
  for (const [file, held] of Object.entries({ ...cases[name]!.files, ...others })) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), typeof held === 'string' ? held : JSON.stringify(held));
  }
  return folder;
}

/** What is said in each case, beside what it comes to. */
const SAID: Readonly<Record<string, RegExp>> = {
  'added_tokens.json adds tokens, in the order of their ids': /tokenizer\.json lack "<n>" \(token 16\), "<m>" \(token 17\)/,
  'added_tokens.json beside an added_tokens_decoder': /added_tokens\.json is not used.*"<n>" is no token/,
  "added_tokens.json with an id that is another's": /added_tokens\.json gives "<n>" the id 40; it is token 16/,
  'special_tokens_map.json comes first': /special_tokens_map\.json says eos_token "<q>", tokenizer_config\.json says "<e>": the map is followed/,
  'special_tokens_map.json beside an added_tokens_decoder': /says pad_token "<p>", tokenizer_config\.json names none: it is not used/,
  'the decoder describes a token otherwise': /describes "<n>" otherwise than tokenizer\.json \(lstrip, rstrip, special\), and is followed/,
  "the decoder gives an id that is another's": /gives "<m>" the id 3; it is token 16/,
  'named tokens that there are not': /lack "<k>" \(token 16\), "<p>" \(token 17\)/,
  'add_bos_token false': /add_bos_token is false in tokenizer_config\.json, and tokenizer\.json puts <b> before a text: tokenizer\.json is followed/,
  'add_bos_token true': /add_bos_token is true in tokenizer_config\.json, and tokenizer\.json puts no <b> before a text/,
};

it.each(Object.entries(cases))('%s', async (name, { ids, framed, eos, pad, tokens, special }) => {
  const tokenizer = await openTokenizer(write(name));
  expect((await tokenizer.encode(texts)).map((encoded) => encoded.ids)).toEqual(ids);
  expect((await tokenizer.encode([texts[0]!], { special: true }))[0]!.ids).toEqual(framed);
  expect(tokenizer).toMatchObject({ eosTokenId: eos, padTokenId: pad, vocabSize: tokens });
  expect(await tokenizer.decode(ids[1]!, { skipSpecial: true })).toBe(special);
  expect(tokenizer.notes.join('\n')).toMatch(SAID[name] ?? /^/);
});

it('nothing is said where nothing contradicts', async () => {
  const template = '{{ messages[0].content }}';
  const folder = write('nothing contradicts', {
    'chat_template.jinja': template,
    'tokenizer_config.json': { ...cases['nothing contradicts']!.files['tokenizer_config.json'], chat_template: template, add_bos_token: true },
    'config.json': { eos_token_id: [2, 5] },
    'generation_config.json': { eos_token_id: 2 },
  });
  expect((await openTokenizer(folder)).notes).toEqual([]);
});

it.each<[string, Readonly<Record<string, object | string>>, RegExp]>([
  [
    'a template in a file',
    { 'chat_template.jinja': 'A' },
    /chat_template in tokenizer_config\.json \(default\) is not used: chat_template\.jinja beside it comes first/,
  ],
  ['templates in a folder', { 'additional_chat_templates/rag.jinja': 'A' }, /\(default\) is not used: additional_chat_templates beside it comes first/],
  [
    'another end in config.json',
    { 'config.json': { eos_token_id: 5 } },
    /eos_token_id is 5 \("c"\) in config\.json, and the tokenizer's eos_token is "<e>" \(2\)/,
  ],
  ['an end that is no token', { 'generation_config.json': { eos_token_id: [2, 99] } }, /the tokenizer has no token 99: nothing ends there/],
  [
    'a space before texts',
    { 'tokenizer_config.json': { add_prefix_space: true } },
    /add_prefix_space is true.*puts no space before a text: tokenizer\.json is followed/,
  ],
])('says: %s', async (_, others, said) => {
  const config = { ...cases['nothing contradicts']!.files['tokenizer_config.json'], chat_template: 'B' };
  const folder = write('nothing contradicts', { ...others, 'tokenizer_config.json': { ...config, ...(others['tokenizer_config.json'] as object) } });
  expect((await openTokenizer(folder)).notes.join('\n')).toMatch(said);
});

it('tokenizer_config.json decides on the space before texts where the class of transformers makes its pre-tokenizer itself', async () => {
  const json = {
    model: { type: 'BPE', vocab: { a: 0, Ġ: 1, Ġa: 2 }, merges: ['Ġ a'] },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    post_processor: null,
    added_tokens: [],
  };
  const idsBy = async (tokenizer_class: string) => {
    const folder = write('nothing contradicts', { 'tokenizer.json': json, 'tokenizer_config.json': { tokenizer_class, add_prefix_space: true } });
    return (await openTokenizer(folder)).ids('a a');
  };
  expect(await idsBy('GPT2TokenizerFast')).toEqual([2, 2]);
  expect(await idsBy('PreTrainedTokenizerFast')).toEqual([0, 2]);
});

it.each<[Readonly<Record<string, object>>, RegExp]>([
  [{ 'tokenizer_config.json': { split_special_tokens: true } }, /split_special_tokens is true.*set it to false/],
  [{ 'tokenizer_config.json': { added_tokens_decoder: { x: { content: '<n>' } } } }, /added_tokens_decoder\.x is .*expected an id/],
  [{ 'added_tokens.json': { '<n>': 'two' } }, /added_tokens\.json: "<n>" is "two", expected the id of a token/],
])('refuses %j', async (others, message) => {
  expect(await rejectionOf(openTokenizer(write('nothing contradicts', others)))).toMatch(message);
});

/** @file Tokenizers whose vocabularies are no Latin letters: how their texts are framed, and what is broken among them. */

import type { JsonObject } from '../../src/formats/json.ts';
import { best, buildTokenizer } from '../../src/tokenizer/build.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import { tryTokenizer } from '../../src/tokenizer/trial.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

const piece = (token: string): JsonObject => ({ SpecialToken: { id: token, type_id: 0 } });
const text = (id: string): JsonObject => ({ Sequence: { id, type_id: 0 } });
const template = (...single: JsonObject[]): JsonObject => ({
  type: 'TemplateProcessing',
  single,
  pair: [text('A'), text('B')],
  special_tokens: { '<b>': { id: '<b>', ids: [0], tokens: ['<b>'] }, '<e>': { id: '<e>', ids: [1], tokens: ['<e>'] } },
});

/** A tokenizer of characters. */
const json = (characters: string, change: JsonObject = {}, model: JsonObject = {}): JsonObject => ({
  added_tokens: ['<b>', '<e>'].map((content, id) => ({ id, content, special: true, normalized: false })),
  normalizer: null,
  pre_tokenizer: null,
  post_processor: template(piece('<b>'), text('A')),
  decoder: { type: 'Fuse' },
  model: { type: 'BPE', vocab: Object.fromEntries(['<b>', '<e>', '<u>', ...characters].map((token, id) => [token, id])), merges: [], ...model },
  ...change,
});
const build = (fields: JsonObject, engine = best) => buildTokenizer('t.json', { json: fields, config: { eos_token: '<e>' }, templates: new Map() }, engine);

describe.each([
  ['the reference', best],
  ['the port', portEngine],
])('%s', (_, engine) => {
  it.each(['0123456789+=', '你好吗', 'ACGT', 'é'])('puts BOS before a text of %s, and the end behind it', async (characters) => {
    const tokenizer = await build(json(characters), engine);
    expect(tokenizer.framing).toEqual({ prefix: [0], suffix: [1] });
    const [framed] = await tokenizer.encode([characters], { special: true });
    expect(framed!.ids).toEqual([0, ...[...characters].map((__, i) => i + 3)]);
    await tryTokenizer(tokenizer);
  });

  it('frames by the post-processor that does, beside others', async () => {
    const processors = [{ type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }, template(piece('<b>'), text('A'), piece('<e>'))];
    const tokenizer = await build(json('a', { post_processor: { type: 'Sequence', processors } }), engine);
    expect(tokenizer.framing).toEqual({ prefix: [0], suffix: [1] });
    expect((await tokenizer.encode(['a'], { special: true }))[0]!.ids).toEqual([0, 3, 1]);
  });
});

it('frames as BERT and RoBERTa do', async () => {
  for (const type of ['BertProcessing', 'RobertaProcessing']) {
    const post = { type, cls: ['<b>', 0], sep: ['<e>', 1], trim_offsets: true, add_prefix_space: false };
    expect((await build(json('a', { post_processor: post }))).framing).toEqual({ prefix: [0], suffix: [1] });
  }
});

it.each<[JsonObject, string]>([
  [template(piece('<b>')), 'expected a template that holds the text (Sequence A) once'],
  [template(text('A'), text('A')), 'expected a template that holds the text (Sequence A) once'],
  [
    { type: 'Sequence', processors: [template(piece('<b>'), text('A')), template(text('A'), piece('<e>'))] },
    'puts tokens around a text 2 times, expected once',
  ],
  [template(text('A'), piece('<x>')), 'or a token that special_tokens describes'],
])('refuses to frame by %j', async (post_processor, message) => {
  expect(await rejectionOf(build(json('a', { post_processor })))).toContain(message);
});

const words = (change: JsonObject, ...tokens: string[]): JsonObject =>
  json(
    '',
    { post_processor: null, ...change },
    { type: 'WordLevel', unk_token: '<u>', vocab: Object.fromEntries(['<b>', '<e>', '<u>', ...tokens].map((t, id) => [t, id])), merges: undefined as never },
  );
const cleared = { type: 'Replace', pattern: { Regex: '[\\s\\S]' }, content: '' };

it.each<[string, JsonObject, string]>([
  ['no ids of anything', json('abc', { normalizer: cleared }), 'makes no token of "<u>", which its vocabulary covers'],
  [
    'unknown tokens of words that it has',
    words({ normalizer: { type: 'Replace', pattern: { Regex: '.' }, content: 'x' } }, 'yes', 'no'),
    'makes unknown tokens alone of "yes"',
  ],
  ['unknown tokens of letters that it has', words({}, ...'abcdef'), 'makes unknown tokens alone of "a b c d e f"'],
])('refuses one that makes %s', async (_, fields, message) => {
  expect(await rejectionOf(build(fields).then(tryTokenizer))).toContain(message);
});

it.each<[string, JsonObject]>([
  ['words alone', words({}, 'yes', 'no')],
  ['letters, split', words({ pre_tokenizer: { type: 'Split', pattern: { Regex: '.' }, behavior: 'Isolated', invert: false } }, ...'abcdef')],
  ['letters between spaces', words({ pre_tokenizer: { type: 'WhitespaceSplit' } }, ...'abcdef')],
])('takes one of %s', async (_, fields) => {
  await tryTokenizer(await build(fields));
});

it('knows the unknown token of the model, not the one that a configuration names', async () => {
  const tokenizer = (model: JsonObject) => buildTokenizer('t.json', { json: json('a', {}, model), config: { unk_token: '<e>' }, templates: new Map() });
  expect((await tokenizer({ unk_token: '<u>' })).unknownTokenId).toBe(2);
  expect((await tokenizer({})).unknownTokenId).toBe(null);
});

it('an error of the reference names the file and the text', async () => {
  const model = {
    type: 'Unigram',
    unk_id: null,
    vocab: [
      ['<b>', 0],
      ['<e>', 0],
      ['a', -1],
    ],
  };
  const tokenizer = await build({ ...json('a'), model });
  expect(await rejectionOf(tokenizer.ids('a?'))).toMatch(/^t\.json: the tokenizer cannot encode "a\?": .*unk_id/);
  expect(await tokenizer.ids('a')).toEqual([2]);
});

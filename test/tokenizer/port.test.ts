/** @file tokenizer.json: what is refused before the library sees it, and the small things around it. */

import type { JsonObject } from '../../src/formats/json.ts';
import { buildTokenizer } from '../../src/tokenizer/open.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const model: JsonObject = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, '½': 3 }, merges: ['a b'] };
const json: JsonObject = { model, added_tokens: [{ id: 4, content: '</s>', special: true }], decoder: { type: 'Fuse' } };
const build = (change: JsonObject = {}, config: JsonObject = { eos_token: { content: '</s>' } }) =>
  buildTokenizer('tokenizer.json', { json: { ...json, ...change }, config });

it('encodes, decodes and knows its special tokens', () => {
  const tokenizer = build();
  expect(tokenizer).toMatchObject({ vocabSize: 5, eosTokenId: 4, bosTokenId: null, chatTemplate: null });
  expect(tokenizer.encode('abb</s>')).toEqual([2, 1, 4]);
  expect(tokenizer.decode([2, 1, 4])).toBe('abb</s>');
  expect(tokenizer.decode([2, 1, 4, 99], { skipSpecial: true })).toBe('abb');
  expect(tokenizer.decode([])).toBe('');
});

it('splits at every numeral, not decimal digits only, as the reference does', () => {
  const vocab = { a: 0, '½': 1, 'a½': 2 };
  const digits = { type: 'Digits', individual_digits: true };
  const merges = ['a ½'];
  expect(build({ model: { type: 'BPE', vocab, merges }, pre_tokenizer: digits }).encode('a½')).toEqual([0, 1]);
  expect(build({ model: { type: 'BPE', vocab, merges } }).encode('a½')).toEqual([2]);
});

it.each<[JsonObject, string]>([
  [{ model: 'x' }, 'model is "x"'],
  [{ model: { ...model, type: 'Quux' } }, 'model.type is "Quux"'],
  [{ model: { ...model, vocab: { a: 0, b: 0 } } }, 'share the id 0'],
  [{ model: { ...model, vocab: { a: 1e12 } } }, 'id 1000000000000'],
  [{ model: { ...model, vocab: {} } }, 'model.vocab is {}'],
  [{ model: { ...model, merges: ['a c'] } }, 'model.merges[0]'],
  [{ model: { ...model, merges: ['b a'] } }, '"ba" is not in the vocabulary'],
  [{ model: { ...model, merges: [['a', 'b', 'c']] } }, 'expected a pair'],
  [{ added_tokens: [{ id: 0, content: 'z' }] }, 'share the id 0'],
  [{ added_tokens: [{ id: -1, content: 'z' }] }, 'id -1'],
  [{ added_tokens: {} }, 'added_tokens is {}'],
  [{ model: { type: 'Unigram', vocab: [['a', 'x']] } }, 'model.vocab[0]'],
  [{ model: { type: 'Unigram', vocab: [['a', 1]], unk_id: 3 } }, 'model.unk_id is 3'],
  [{ pre_tokenizer: { type: 'Quux' } }, 'cannot be built'],
  [{ pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }, 'cannot be built'],
])('refuses %j', (change, message) => {
  expect(messageOf(() => build(change))).toContain(message);
});

it('renders conversations, with blocks trimmed', () => {
  const chat_template =
    '{% for m in messages %}\n  {% if m.role == "user" %}\nU:{{ m.content }}\n  {% endif %}\n{% endfor %}\n{{ eos_token }}{% if add_generation_prompt %}A:{% endif %}';
  const messages = [{ role: 'user', content: 'hi' }];
  const tokenizer = build({}, { eos_token: '</s>', chat_template });
  expect(tokenizer.renderChat(messages)).toBe('U:hi\n</s>');
  expect(tokenizer.renderChat(messages, { addGenerationPrompt: true })).toBe('U:hi\n</s>A:');
  expect(messageOf(() => build().renderChat(messages))).toContain('no chat template');
  const refusing = build({}, { chat_template: "{{ raise_exception('no system role') }}" });
  expect(messageOf(() => refusing.renderChat(messages))).toContain('no system role');
  expect(messageOf(() => build({}, { chat_template: '{% if %}' }).renderChat(messages))).toContain('chat template');
});

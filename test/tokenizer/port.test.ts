/** @file tokenizer.json: what is refused before the library sees it, and the small things around it. */

import type { JsonObject } from '../../src/formats/json.ts';
import { best, buildTokenizer, type EngineChoice } from '../../src/tokenizer/build.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import { templatesOf } from '../../src/tokenizer/templates.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

const model: JsonObject = { type: 'BPE', vocab: { a: 0, b: 1, ab: 2, '½': 3 }, merges: ['a b'] };
const json: JsonObject = { model, added_tokens: [{ id: 4, content: '</s>', special: true }], decoder: { type: 'Fuse' } };
const build = (change: JsonObject = {}, config: JsonObject = { eos_token: { content: '</s>' } }, engine: EngineChoice = best) =>
  buildTokenizer('tokenizer.json', { json: { ...json, ...change }, config, templates: templatesOf('t', config['chat_template']) }, engine);

it.each([
  ['the reference', best],
  ['the port', portEngine],
])('%s encodes, decodes and knows its special tokens', async (_, engine) => {
  const tokenizer = await build({}, undefined, engine);
  expect(tokenizer).toMatchObject({ vocabSize: 5, eosTokenId: 4, bosTokenId: null, templates: { names: [] }, framing: { prefix: [], suffix: [4] } });
  expect(await tokenizer.ids('abb</s>')).toEqual([2, 1, 4]);
  expect(await tokenizer.decode([2, 1, 4])).toBe('abb</s>');
  expect(await tokenizer.decode([2, 1, 4, 99], { skipSpecial: true })).toBe('abb');
  expect(await tokenizer.decode([])).toBe('');
});

it('splits at every numeral, not decimal digits only, as the reference does', async () => {
  const vocab = { a: 0, '½': 1, 'a½': 2 };
  const digits = { type: 'Digits', individual_digits: true };
  const merges = ['a ½'];
  for (const engine of [best, portEngine]) {
    expect(await (await build({ model: { type: 'BPE', vocab, merges }, pre_tokenizer: digits, added_tokens: [] }, {}, engine)).ids('a½')).toEqual([0, 1]);
    expect(await (await build({ model: { type: 'BPE', vocab, merges }, added_tokens: [] }, {}, engine)).ids('a½')).toEqual([2]);
  }
});

it('an added token whose id leaves a hole is refused, since tokenizers would give it another', async () => {
  const holed = { added_tokens: [{ id: 9, content: '</s>', special: true }] };
  expect(await rejectionOf(build(holed))).toContain('added token "</s>" has id 9, and tokenizers gives it 4');
});

it('half a surrogate pair is refused, and an end that is no token is said', async () => {
  const tokenizer = await build({}, { eos_token: '<end>' });
  expect(await rejectionOf(tokenizer.ids('a\ud83d'))).toMatch(/character 1 of the text is half a surrogate pair/);
  expect(tokenizer.notes).toEqual(['tokenizer.json: tokenizer_config.json names "<end>" as eos_token, which is no token; it is not used']);
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
])('refuses %j', async (change, message) => {
  expect(await rejectionOf(build(change))).toContain(message);
});

it('renders conversations, with blocks trimmed', async () => {
  const chat_template =
    '{% for m in messages %}\n  {% if m.role == "user" %}\nU:{{ m.content }}\n  {% endif %}\n{% endfor %}\n{{ eos_token }}{% if add_generation_prompt %}A:{% endif %}';
  const messages = [{ role: 'user', content: 'hi' }];
  const render = async (config: JsonObject, addGenerationPrompt = false) =>
    (await build({}, config)).templates.render({ messages, fields: {} }, { addGenerationPrompt }).text;
  const own = { eos_token: '</s>', chat_template };
  expect(await render(own)).toBe('U:hi\n</s>');
  expect(await render(own, true)).toBe('U:hi\n</s>A:');
  expect(await rejectionOf(render({}))).toContain('no chat template');
  expect(await rejectionOf(render({ chat_template: "{{ raise_exception('no system role') }}" }))).toContain('no system role');
  expect(await rejectionOf(render({ chat_template: '{% if %}' }))).toContain('chat template');
});

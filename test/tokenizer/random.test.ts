/** @file The port against the reference on random texts, by small tokenizers of many kinds: the same ids, places and texts, or a refusal by name. */

import fc from 'fast-check';
import type { JsonObject } from '../../src/formats/json.ts';
import { buildTokenizer } from '../../src/tokenizer/build.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';
import { PROVEN, REFUSED } from './kinds.ts';
import { reference } from './reference.ts';

/** Pieces that the kinds treat in ways of their own. */
const PIECES = [
  ' ',
  '  ',
  '\n',
  '\t',
  '\u00a0',
  '\u0085',
  'a',
  'b',
  'ab',
  'the',
  'Foo',
  'FOO',
  'foo',
  '<A>',
  '<L>',
  '<R>',
  '<LR>',
  '<s>',
  '</s>',
  '<a',
  '<a>b',
].concat([
  "'s",
  "'\u017f",
  "'\u017fx",
  "'S",
  "'LL",
  '\u017f',
  'K',
  '12',
  '½',
  '٣',
  'é',
  'e\u0301',
  'ΑΣ',
  'Σ.',
  'ß',
  '日',
  '本',
  '𠀀',
  '👍',
  '▁',
  '$',
  '.',
  '!',
  '-',
  'x',
  '\ufeff',
  '<0x41>',
]);
const text = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...PIECES) }, fc.lorem({ maxCount: 2 })), { maxLength: 10 })
  .map((parts) => parts.join(''));
/** Tokens that a vocabulary of at least 50 has, in any order. */
const some = fc.array(fc.nat(49), { minLength: 1, maxLength: 12 });

const build = async (json: JsonObject) => {
  const fields = { json, config: {}, templates: new Map() };
  return { ours: await buildTokenizer('t.json', fields, portEngine), theirs: await buildTokenizer('t.json', fields, reference) };
};

it.each(Object.entries(PROVEN))('%s', async (_, json) => {
  const { ours, theirs } = await build(json);
  const all = Array.from({ length: theirs.vocabSize }, (__, id) => id);
  for (const id of all) expect({ id, text: await ours.decode([id]) }).toEqual({ id, text: await theirs.decode([id]) });
  const compare = async (texts: readonly string[]) => {
    for (const special of [false, true]) {
      const expected = await theirs.encode(texts, { special });
      for (const [i, one] of texts.entries()) {
        const found = await ours.encode([one], { special }).then(
          ([encoded]) => encoded,
          (error: Error) => {
            expect(error.message).toContain('which JavaScript may take for another kind of character');
            return null;
          },
        );
        if (found === null) continue;
        const text = async (by: Tokenizer) => ({ one, text: await by.decode(found!.ids, { skipSpecial: special }) });
        expect({ one, ids: found!.ids }).toEqual({ one, ids: expected[i]!.ids });
        expect(await text(ours)).toEqual(await text(theirs));
      }
    }
  };
  await compare(PIECES);
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 20, maxLength: 20 }), fc.array(some, { minLength: 5, maxLength: 5 }), fc.nat(), async (texts, runs, shift) => {
      await compare(texts);
      for (const run of runs) {
        const ids = run.map((id) => (id + shift) % theirs.vocabSize);
        expect({ ids, text: await ours.decode(ids) }).toEqual({ ids, text: await theirs.decode(ids) });
      }
    }),
    { numRuns: 15 },
  );
});

it.each(Object.entries(REFUSED))('refuses: %s', async (name, json) => {
  const refused = await rejectionOf(buildTokenizer('t.json', { json, config: {}, templates: new Map() }, portEngine));
  expect(refused).toContain(name);
  expect(refused).toMatch(/^t\.json: .*(ebb data --out FILE\.safetensors|number the tokens through)/);
});

it('encodes a long text, also one that nothing splits', async () => {
  const { ours, theirs } = await build(PROVEN['Unigram without a pre-tokenizer']!);
  const long = 'ab the x'.repeat(20_000);
  expect((await ours.ids(long)).length).toBe((await theirs.ids(long)).length);
});

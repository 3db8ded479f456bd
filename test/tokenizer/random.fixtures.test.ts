/** @file The port against the reference on random texts, by every tokenizer of the fixtures: the same ids, or the port refuses the tokenizer by name. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { buildTokenizer } from '../../src/tokenizer/build.ts';
import { readTokenizerFolder } from '../../src/tokenizer/fields.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import { subfolders, withFixtures } from '../formats/fixtureFolder.ts';
import { reference } from './reference.ts';

/** Pieces that tokenizers treat in ways of their own: spaces of all kinds, digits, marks, contractions, control tokens, scripts without spaces. */
const PIECES = [
  ' ',
  '  ',
  '\n',
  '\r\n',
  '\t',
  '\u00a0',
  '\u3000',
  "'s",
  "'LL",
  '12',
  '½',
  '٣',
  'é',
  'e\u0301',
  'İ',
  'ß',
  '日本',
  'ไทย',
  '😀',
  '👍🏽',
  '\u200d',
  '</s>',
  '<s>',
  '<|im_start|>',
  '<|im_end|>',
  '▁',
  '##',
  '...',
  '!?',
  '\ufeff',
  '\u0000',
];

const text = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'grapheme', maxLength: 6 }), fc.lorem({ maxCount: 3 })), { maxLength: 12 })
  .map((parts) => parts.join(''))
  .filter((made) => !/\p{Surrogate}/u.test(made));

function comparesAll(root: string): void {
  const folders = subfolders(root).filter((name) => existsSync(join(root, name, 'tokenizer.json')));
  it.each(folders)('%s', async (name) => {
    const fields = readTokenizerFolder(join(root, name));
    const rust = await buildTokenizer(name, fields, reference);
    const port = await buildTokenizer(name, fields, portEngine);
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 20, maxLength: 20 }), async (texts) => {
        for (const special of [false, true]) {
          for (const one of texts) {
            const found = await port.encode([one], { special }).catch((error: Error) => error);
            if (found instanceof Error) expect(found.message).toContain('which JavaScript may take for another kind of character');
            else {
              expect({ one, ids: found[0]!.ids }).toEqual({ one, ids: (await rust.encode([one], { special }))[0]!.ids });
              const decoded = { one, text: await port.decode(found[0]!.ids, { skipSpecial: special }) };
              expect(decoded).toEqual({ one, text: await rust.decode(found[0]!.ids, { skipSpecial: special }) });
            }
          }
        }
      }),
      { numRuns: 10 },
    );
  });
}

withFixtures('tokenizers', comparesAll);
withFixtures('data/tokenizers', comparesAll);

/** @file Every tokenizer found: ids, ids with special tokens, decoded text, and rendered conversations. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openTokenizer, type Tokenizer } from '../../src/tokenizer/open.ts';
import { readJson, subfolders, withFixtures } from '../formats/fixtureFolder.ts';
import { withSmolLm2 } from '../support/smollm2.ts';

interface Case {
  text: string;
  ids: number[];
  ids_with_special: number[];
  decoded: string;
  decoded_skip_special: string;
}

function compareAll(folder: string, open: () => Tokenizer): void {
  it('encodes and decodes every case as the reference', () => {
    const tokenizer = open();
    const { cases }: { cases: Case[] } = readJson(join(folder, 'cases.json'));
    expect(cases.length).toBeGreaterThan(0);
    for (const expected of cases) {
      expect({
        text: expected.text,
        ids: tokenizer.encode(expected.text),
        ids_with_special: tokenizer.encode(expected.text, { special: true }),
        decoded: tokenizer.decode(expected.ids),
        decoded_skip_special: tokenizer.decode(expected.ids, { skipSpecial: true }),
      }).toEqual(expected);
    }
  });

  if (!existsSync(join(folder, 'chat_cases.json'))) return;
  it('renders every conversation as the reference', () => {
    const tokenizer = open();
    const { template, cases } = readJson(join(folder, 'chat_cases.json'));
    expect(tokenizer.chatTemplate).toBe(template);
    for (const { messages, add_generation_prompt, text, ids } of cases) {
      const rendered = tokenizer.renderChat(messages, { addGenerationPrompt: add_generation_prompt });
      expect(rendered).toBe(text);
      expect(tokenizer.encode(rendered)).toEqual(ids);
    }
  });
}

withFixtures('tokenizers', (root) => {
  for (const name of subfolders(root)) {
    const folder = join(root, name);
    describe(name, () => {
      if (existsSync(join(folder, 'tokenizer.json'))) {
        compareAll(folder, () => openTokenizer(folder));
      } else {
        withSmolLm2((file) => compareAll(folder, () => openTokenizer(file)));
      }
    });
  }
});

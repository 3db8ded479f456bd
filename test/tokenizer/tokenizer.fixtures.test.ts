/** @file Every tokenizer found, by the reference implementation and by the port: ids, ids with special tokens, decoded text, and rendered conversations. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildTokenizer, type EngineChoice } from '../../src/tokenizer/build.ts';
import type { Span } from '../../src/tokenizer/engine.ts';
import { readTokenizerFolder } from '../../src/tokenizer/fields.ts';
import { ggufTokenizerFields } from '../../src/tokenizer/open.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { readJson, subfolders, withFixtures } from '../formats/fixtureFolder.ts';
import { withSmolLm2 } from '../support/smollm2.ts';
import { reference } from './reference.ts';

interface Case {
  text: string;
  ids: number[];
  ids_with_special: number[];
  decoded: string;
  decoded_skip_special: string;
}

const ENGINES: Readonly<Record<string, EngineChoice>> = { reference, port: portEngine };

function compareAll(folder: string, open: (engine: EngineChoice) => Promise<Tokenizer>): void {
  it.each(Object.entries(ENGINES))('%s: encodes and decodes every case as the reference', async (_, engine) => {
    const tokenizer = await open(engine);
    const { cases }: { cases: Case[] } = readJson(join(folder, 'cases.json'));
    expect(cases.length).toBeGreaterThan(0);
    const texts = cases.map(({ text }) => text);
    const [bare, special] = [await tokenizer.encode(texts), await tokenizer.encode(texts, { special: true })];
    for (const [i, expected] of cases.entries()) {
      expect({
        text: expected.text,
        ids: bare[i]!.ids,
        ids_with_special: special[i]!.ids,
        decoded: await tokenizer.decode(expected.ids),
        decoded_skip_special: await tokenizer.decode(expected.ids, { skipSpecial: true }),
      }).toEqual(expected);
    }
  });

  it('the port places tokens where the reference does, or says that it does not know', async () => {
    const { cases }: { cases: Case[] } = readJson(join(folder, 'cases.json'));
    const texts = cases.map(({ text }) => text);
    const [a, b] = [await (await open(reference)).encode(texts), await (await open(portEngine)).encode(texts)];
    // Where a normal form composes a character, the two take different parts of it for the whole.
    const characters = (text: string, spans: readonly Span[]) => {
      const ends = Array.from(text.matchAll(/\P{M}\p{M}*|\p{M}+/gsu), (m) => m.index + m[0].length);
      return spans.map(([from, to]) => [ends.findIndex((end) => end > from), ends.findIndex((end) => end >= to)]);
    };
    const agrees = (text: string, i: number) => {
      try {
        const { spans } = b[i]!;
        return JSON.stringify(characters(text, spans)) === JSON.stringify(characters(text, a[i]!.spans));
      } catch (error) {
        return (error as Error).message.includes('does not tell where the tokens');
      }
    };
    expect(texts.filter((text, i) => !agrees(text, i))).toEqual([]);
  });

  if (!existsSync(join(folder, 'chat_cases.json'))) return;
  it('renders every conversation as the reference', async () => {
    const tokenizer = await open(reference);
    const { cases } = readJson(join(folder, 'chat_cases.json'));
    for (const { messages, add_generation_prompt, text, ids } of cases) {
      const rendered = tokenizer.templates.render({ messages, fields: {} }, { addGenerationPrompt: add_generation_prompt });
      expect(rendered.text).toBe(text);
      expect(await tokenizer.ids(rendered.text)).toEqual(ids);
    }
  });
}

withFixtures('tokenizers', (root) => {
  for (const name of subfolders(root)) {
    const folder = join(root, name);
    describe(name, () => {
      if (existsSync(join(folder, 'tokenizer.json')))
        compareAll(folder, (engine) => buildTokenizer(join(folder, 'tokenizer.json'), readTokenizerFolder(folder), engine));
      else withSmolLm2((file) => compareAll(folder, (engine) => buildTokenizer(file, ggufTokenizerFields(file), engine)));
    });
  }
});

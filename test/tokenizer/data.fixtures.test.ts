/** @file Records become the ids and labels of the reference libraries: every set of the data fixtures. */

import { join } from 'node:path';
import { best, buildTokenizer } from '../../src/tokenizer/build.ts';
import { chatLessons } from '../../src/tokenizer/chat.ts';
import { readTokenizerFolder } from '../../src/tokenizer/fields.ts';
import { completionLesson, type Lesson, labelled } from '../../src/tokenizer/lessons.ts';
import type { Tokenizer } from '../../src/tokenizer/open.ts';
import { portEngine } from '../../src/tokenizer/port.ts';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';

/** The time that templates tell where a case names none. */
const NOW = '2026-03-05T14:07:09';

type Golden = ReturnType<typeof readJson>;

/** The messages of a record of any kind. */
function conversation({ kind, record, options }: Golden) {
  if (kind === 'chat') {
    const { messages, ...fields } = record;
    return { messages, fields };
  }
  if (kind === 'sharegpt') {
    const roles: Record<string, string> = { human: 'user', gpt: 'assistant' };
    const messages = record.conversations.map(({ from, value, ...rest }: Golden) => ({ role: roles[from] ?? from, content: value, ...rest }));
    return { messages: record.system ? [{ role: 'system', content: record.system }, ...messages] : messages, fields: {} };
  }
  const { instruction, input, output, system } = record;
  const user = input ? instruction + (options.alpaca_join ?? '\n') + input : instruction;
  return {
    messages: [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: user }, { role: 'assistant', content: output }],
    fields: {},
  };
}

function lessonsOf(golden: Golden, tokenizer: Tokenizer): readonly Lesson[] {
  const { kind, record, options } = golden;
  if (kind === 'text') return [completionLesson('', record.text)];
  if (kind === 'prompt_completion') return [completionLesson(record.prompt, record.completion)];
  return chatLessons(tokenizer.templates, conversation(golden), { now: new Date(options.now ?? NOW), variables: options.template_kwargs });
}

withFixtures('data', (folder) => {
  const cases: Golden[] = readJson(join(folder, 'cases.json'));
  const engines = { reference: best, port: portEngine };
  const all = Object.entries(engines).flatMap(([engine, engineOf]) => cases.map((golden) => [`${engine}: ${golden.name}`, golden, engineOf] as const));
  it.each(all)('%s', async (_, golden, engineOf) => {
    const path = join(folder, 'tokenizers', golden.tokenizer);
    const tokenizer = await buildTokenizer(join(path, 'tokenizer.json'), readTokenizerFolder(path), engineOf);
    const { expected, options } = golden;
    const sequences = async () => {
      const lessons = lessonsOf(golden, tokenizer);
      const encoded = await tokenizer.encode(lessons.map(({ text }) => text));
      return lessons.map((lesson, i) => labelled(lesson, encoded[i]!, tokenizer));
    };
    if (expected.error) return expect(sequences()).rejects.toMatchObject({ name: 'EbbError' });
    const cut = (list: readonly number[]) => list.slice(0, options.max_length);
    const found = (await sequences())
      .map(({ ids, labels }) => ({ ids: cut(ids), labels: cut(labels) }))
      .filter(({ labels }) => labels.slice(1).some((l) => l >= 0));
    expect(found).toEqual(expected.sequences.map(({ ids, labels }: Golden) => ({ ids, labels })));
  });
});

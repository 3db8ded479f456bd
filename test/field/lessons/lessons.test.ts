/**
 * @file Situations of data that people meet, as data: a record, the chat template of its model, and what of it must be learnt. The tokenizer has a
 * token for each character, `<s>` before every text and `</s>` behind it.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExactJson } from '../../../src/formats/exactJson.ts';
import type { JsonObject } from '../../../src/formats/json.ts';
import { best, buildTokenizer, type EngineChoice } from '../../../src/tokenizer/build.ts';
import { chatLessons } from '../../../src/tokenizer/chat.ts';
import { completionLesson, type Labelled, labelled } from '../../../src/tokenizer/lessons.ts';
import { portEngine } from '../../../src/tokenizer/port.ts';
import type { Tokenizer } from '../../../src/tokenizer/tokenizer.ts';
import { rejectionOf } from '../../formats/fixtureFolder.ts';

interface Case {
  readonly situation: string;
  readonly template?: string;
  readonly record: JsonObject;
  /** How the text of the first sequence begins. */
  readonly begins?: string;
  /** The tokens of the first sequence. */
  readonly ids?: string;
  /** For each sequence, the stretches of tokens that are learnt. */
  readonly learnt?: readonly (readonly string[])[];
  readonly refused?: string;
}

const CHATML =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
const CONTROLS = ['<s>', '</s>', '<|im_start|>', '<|im_end|>'];
const CHARACTERS = ['\n', ...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))];

function tokenizerOf(template: string | undefined, engine: EngineChoice): Promise<Tokenizer> {
  const vocab = Object.fromEntries([...CONTROLS, ...CHARACTERS].map((token, id) => [token, id]));
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const begin = { SpecialToken: { id: '<s>', type_id: 0 } };
  const json = {
    model: { type: 'BPE', vocab, merges: [] },
    added_tokens: CONTROLS.map((content, id) => ({ id, content, special: true })),
    decoder: { type: 'Fuse' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [begin, text('A')],
      pair: [begin, text('A'), text('B')],
      special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
    },
  };
  const templates = new Map(template === undefined ? [] : [['default', template === 'chatml' ? CHATML : template]]);
  return buildTokenizer('tokenizer.json', { json, config: { bos_token: '<s>', eos_token: '</s>' }, templates }, engine);
}

async function sequencesOf({ record }: Case, tokenizer: Tokenizer): Promise<readonly Labelled[]> {
  const { messages, text, prompt, completion, ...fields } = record;
  const lessons = Array.isArray(messages)
    ? chatLessons(tokenizer.templates, { messages: messages as JsonObject[], fields })
    : [typeof text === 'string' ? completionLesson('', text) : completionLesson(String(prompt), String(completion))];
  const encoded = await tokenizer.encode(lessons.map((lesson) => lesson.text));
  return lessons.map((lesson, i) => labelled(lesson, encoded[i]!, tokenizer));
}

/** The stretches of tokens with a label. */
function learntOf({ ids, labels }: Labelled, { token }: Tokenizer): readonly string[] {
  const words = ids.map((id, i) => (labels[i] === id ? token(id)! : '\u0000'));
  return words
    .join('')
    .split(/\u0000+/)
    .filter((stretch) => stretch !== '');
}

const cases = parseExactJson(readFileSync(join(__dirname, 'cases.json'), 'utf8')) as unknown as readonly Case[];
const engines = [
  ['the reference', best],
  ['the port', portEngine],
] as const;

describe.each(engines)('by %s', (_, engine) => {
  it.each(cases.map((one) => [one.situation, one] as const))('%s', async (_situation, one) => {
    const tokenizer = await tokenizerOf(one.template, engine);
    if (one.refused !== undefined) return expect(await rejectionOf(sequencesOf(one, tokenizer))).toContain(one.refused);
    const sequences = await sequencesOf(one, tokenizer);
    expect(sequences.map((sequence) => learntOf(sequence, tokenizer))).toEqual(one.learnt);
    const first = sequences[0]!.ids.map((id) => tokenizer.token(id));
    if (one.ids !== undefined) expect(first.join(' ')).toBe(one.ids);
    if (one.begins !== undefined) expect(first.join('').startsWith(one.begins)).toBe(true);
  });
});

/**
 * @file What a conversation teaches: its text by the chat template, and which of it is learnt. The rules are those of the field (TRL, transformers'
 * assistant masks): generation blocks where the template has them, else what an answer adds to the rendering that ends before it.
 */

import { at, EbbError } from '../errors.ts';
import { parseExactJson, plainJson } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { type Lesson, labelled } from './lessons.ts';
import type { ChatTemplates, Conversation, RenderOptions } from './templates.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The least index at which two texts differ. It is never inside a character. */
function commonPrefix(a: string, b: string): number {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  const within = same > 0 && /[\ud800-\udbff]/.test(a.charAt(same - 1)) && /[\udc00-\udfff]/.test(a.charAt(same) + b.charAt(same));
  return within ? same - 1 : same;
}

const isAnswer = (message: JsonObject): boolean => message['role'] === 'assistant';

/** Whether an answer is to be learnt: `weight: 0` and `train: false` say that it is not. */
const learns = ({ weight = null, train }: JsonObject): boolean => plainJson(weight) !== 0 && train !== false;

/** Arguments of calls that are given as JSON text are what the text says, as servers (vLLM, SGLang) render them. */
function withArguments(message: JsonObject): JsonObject {
  const { tool_calls: calls } = message;
  if (!Array.isArray(calls)) return message;
  const parsed = (value: Json): Json => {
    if (typeof value !== 'string') return value;
    try {
      const found = parseExactJson(value);
      return isObject(found) ? found : value;
    } catch {
      return value;
    }
  };
  const withParsed = (call: JsonObject): JsonObject => (call['arguments'] === undefined ? call : { ...call, arguments: parsed(call['arguments']) });
  return {
    ...message,
    tool_calls: calls.map((call) => {
      if (!isObject(call)) return call;
      const inner = call['function'];
      return withParsed(isObject(inner) ? { ...call, function: withParsed(inner) } : call);
    }),
  };
}

/** The place in the rendering of the first `count` messages at which the last one, an answer, begins to be learnt. */
function startOf(render: (messages: readonly JsonObject[], prompt: boolean) => string, messages: readonly JsonObject[], count: number, whole: string): number {
  const before = messages.slice(0, count - 1);
  // Nothing stands before the first message: what its words change is where they begin.
  if (before.length === 0) return commonPrefix(whole, render([{ role: 'assistant', content: '\u0001' }], false));
  const prompted = render(before, true);
  const common = commonPrefix(prompted, whole);
  const bare = render(before, false);
  const prompt = prompted.startsWith(bare) ? prompted.slice(bare.length) : '';
  if (prompt === '' || common >= prompted.length - prompt.length) return common;
  // The two part before the generation prompt: the answer begins behind the last one.
  const last = whole.lastIndexOf(prompt);
  return last < 0 ? common : last + prompt.length;
}

/** Which message each generation block belongs to: as many blocks as answers are theirs in turn, and else renderings of beginnings tell. */
function ownersOf(count: number, messages: readonly JsonObject[], blocksOf: (messages: readonly JsonObject[]) => number): readonly number[] {
  const answers = messages.flatMap((message, i) => (isAnswer(message) ? [i] : []));
  if (answers.length === count) return answers;
  let before = 0;
  return answers.flatMap((i) => {
    const now = blocksOf(messages.slice(0, i + 1));
    const own = Array.from({ length: Math.max(0, now - before) }, () => i);
    before = now;
    return own;
  });
}

/**
 * The lessons of a conversation: one, or one for each answer where the template renders earlier answers otherwise once others follow.
 * @throws EbbError in the words of a template that refuses the conversation
 */
export function chatLessons(
  templates: ChatTemplates,
  { messages: given, fields }: Conversation,
  options: Omit<RenderOptions, 'addGenerationPrompt'> = {},
): readonly Lesson[] {
  const messages = given.map(withArguments);
  const rendered = (some: readonly JsonObject[], addGenerationPrompt: boolean) =>
    templates.render({ messages: some, fields }, { ...options, addGenerationPrompt });
  const render = (some: readonly JsonObject[], prompt: boolean): string => rendered(some, prompt).text;
  const { text, blocks } = rendered(messages, false);
  if (blocks !== null) {
    const owners = ownersOf(blocks.length, messages, (some) => rendered(some, false).blocks?.length ?? 0);
    const learnt = blocks.flatMap((span, i) => (learns(messages[at(owners, i)] ?? {}) ? [{ span, isTurn: false }] : []));
    return [{ text, learnt, isFramed: false }];
  }
  const turns = messages.flatMap((message, i) => {
    if (!isAnswer(message) || !learns(message)) return [];
    const whole = render(messages.slice(0, i + 1), false);
    return [{ whole, part: { span: [startOf(render, messages, i + 1, whole), whole.length] as const, isTurn: true } }];
  });
  if (turns.every(({ whole }) => text.startsWith(whole))) return [{ text, learnt: turns.map(({ part }) => part), isFramed: false }];
  return turns.map(({ whole, part }) => ({ text: whole, learnt: [part], isFramed: false }));
}

/** The control token that closes an answer, by the chat template; null where none does, or the template takes no plain conversation. */
export async function closingToken(tokenizer: Tokenizer): Promise<number | null> {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  try {
    const lesson = chatLessons(tokenizer.templates, { messages, fields: {} }).at(-1);
    const [encoded] = lesson ? await tokenizer.encode([lesson.text]) : [];
    if (!lesson || !encoded) return null;
    const { ids, labels } = labelled(lesson, encoded, tokenizer);
    const last = labels.findLastIndex((label) => label >= 0);
    return last >= 0 && tokenizer.isControl(at(ids, last)) ? at(ids, last) : null;
  } catch (error) {
    if (error instanceof EbbError) return null;
    throw error;
  }
}

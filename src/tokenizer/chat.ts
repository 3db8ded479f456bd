/**
 * @file What a conversation teaches: its text by the chat template, and which of it is learnt. The rules are those of the field (TRL, transformers'
 * assistant masks): generation blocks where the template has them, else what an answer adds to the rendering that ends before it.
 */

import { at, EbbError } from '../errors.ts';
import type { JsonObject } from '../formats/json.ts';
import { startOf } from './answers.ts';
import type { Span } from './engine.ts';
import { type Lesson, labelled } from './lessons.ts';
import { checkMessages, isAnswer, learns } from './messages.ts';
import { type ChatTemplates, type Conversation, failedByType, type RenderOptions } from './templates.ts';
import type { Tokenizer } from './tokenizer.ts';
import { withArguments } from './toolArguments.ts';

/** Which message each generation block belongs to, as renderings of the conversation's beginnings tell. @throws EbbError where they do not */
function ownersOf(count: number, messages: readonly JsonObject[], blocksOf: (messages: readonly JsonObject[]) => number): readonly number[] {
  let before = 0;
  const owners = messages.flatMap((_, i) => {
    const now = i + 1 < messages.length ? blocksOf(messages.slice(0, i + 1)) : count;
    const own = now - before;
    before = now;
    if (own < 0) return [Number.NaN];
    return Array.from({ length: own }, () => i);
  });
  if (owners.length === count && owners.every(Number.isInteger)) return owners;
  throw new EbbError(
    'it cannot be told which generation block of the chat template belongs to which message, and some answers are not to be learnt; leave out weight and train, or give the answers one by one',
  );
}

/** The generation blocks that are learnt: all of them, but for those of answers that are not to be. */
function learntBlocks(blocks: readonly Span[], messages: readonly JsonObject[], blocksOf: (messages: readonly JsonObject[]) => number): readonly Span[] {
  if (messages.every(learns)) return blocks;
  const owners = ownersOf(blocks.length, messages, blocksOf);
  return blocks.filter((_, i) => learns(at(messages, at(owners, i))));
}

type Options = Omit<RenderOptions, 'addGenerationPrompt'>;

function lessonsOf(templates: ChatTemplates, { messages, fields }: Conversation, options: Options): readonly Lesson[] {
  const rendered = (some: readonly JsonObject[], addGenerationPrompt: boolean) =>
    templates.render({ messages: some, fields }, { ...options, addGenerationPrompt });
  const render = (some: readonly JsonObject[], prompt: boolean): string => rendered(some, prompt).text;
  const { text, blocks } = rendered(messages, false);
  if (blocks !== null) {
    const spans = learntBlocks(blocks, messages, (some) => rendered(some, false).blocks?.length ?? 0);
    return [{ text, learnt: spans.map((span) => ({ span, isTurn: false })), isFramed: false }];
  }
  const turns = messages.flatMap((message, i) => {
    if (!isAnswer(message) || !learns(message)) return [];
    const whole = render(messages.slice(0, i + 1), false);
    return [{ whole, part: { span: [startOf(render, messages, i + 1, whole), whole.length] as const, isTurn: true } }];
  });
  if (turns.every(({ whole }) => text.startsWith(whole))) return [{ text, learnt: turns.map(({ part }) => part), isFramed: false }];
  return turns.map(({ whole, part }) => ({ text: whole, learnt: [part], isFramed: false }));
}

/**
 * The lessons of a conversation: one, or one for each answer where the template renders earlier answers otherwise once others follow.
 * Arguments of calls that are JSON text are what the text says, unless the template joins them with texts.
 * @throws EbbError in the words of a template that refuses the conversation, and for what is misspelt in its messages
 */
export function chatLessons(templates: ChatTemplates, conversation: Conversation, options: Options = {}): readonly Lesson[] {
  const { messages, fields } = conversation;
  checkMessages(messages, templates.texts(fields));
  const parsed = messages.map(withArguments);
  try {
    return lessonsOf(templates, { messages: parsed, fields }, options);
  } catch (error) {
    if (!failedByType(error) || messages.every((message) => !Array.isArray(message['tool_calls']))) throw error;
    return lessonsOf(templates, conversation, options);
  }
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

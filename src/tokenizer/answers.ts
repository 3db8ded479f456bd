/** @file Where an answer begins in the rendering of a conversation, of which a template says only what it writes. */

import { at, EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';

/** The text of messages, with or without the words that open an answer behind them. */
export type Render = (messages: readonly JsonObject[], prompt: boolean) => string;

/** The least index at which two texts differ. It is never inside a character. */
function commonPrefix(a: string, b: string): number {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  const within = same > 0 && /[\ud800-\udbff]/.test(a.charAt(same - 1)) && /[\udc00-\udfff]/.test(a.charAt(same) + b.charAt(same));
  return within ? same - 1 : same;
}

/** How much of their ends two texts share. */
function commonSuffix(a: string, b: string): number {
  let same = 0;
  while (same < a.length && same < b.length && a.at(-1 - same) === b.at(-1 - same)) same++;
  return same;
}

/** A character that no text holds and no template strips. */
const PROBE = '\u0001';

/** Content with one more character behind its last words. */
function probed(content: Json | undefined): Json {
  if (!Array.isArray(content)) return typeof content === 'string' ? content + PROBE : PROBE;
  const last = content.findLastIndex((part) => isObject(part) && typeof part['text'] === 'string');
  return content.map((part, i) => (i === last && isObject(part) ? { ...part, text: String(part['text']) + PROBE } : part));
}

const bareAnswer = ({ content }: JsonObject): JsonObject => ({
  role: 'assistant',
  content: Array.isArray(content) ? [{ type: 'text', text: PROBE }] : PROBE,
});

/** The longest beginning of a prompt that stands in a text, and where it ends; null where nothing but white space of it does. */
function promptIn(text: string, from: number, to: number, prompt: string): number | null {
  let best = { length: 0, end: 0 };
  for (let i = from; i < to; i++) {
    const length = commonPrefix(text.slice(i, i + prompt.length), prompt);
    if (length > best.length) best = { length, end: i + length };
  }
  return prompt.slice(0, best.length).trim() === '' ? null : best.end;
}

/** What a rendering holds behind the words of a message. @throws EbbError where the message's words are not in it */
function tailOf(where: string, rendering: string, probedRendering: string): string {
  const shared = commonSuffix(rendering, probedRendering);
  if (shared < rendering.length || rendering === '') return rendering.slice(rendering.length - shared);
  throw new EbbError(`${where}: the chat template leaves out the words of the message before`);
}

/** Where an answer begins in a rendering that parts from the one before it among earlier messages. @throws EbbError where nobody can tell */
function startBehind(render: Render, { before, answer, whole, prompted, prompt }: Parted, where: string): number {
  const last = at(before, -1);
  const others = [...before.slice(0, -1), { ...last, content: probed(last['content']) }];
  const tail = tailOf(where, whole, render([...others, answer], false));
  const promptedTail = tailOf(where, prompted, render(others, true));
  const from = whole.length - tail.length;
  const shared = commonPrefix(tail, promptedTail);
  // a template without such words gives the answer all that it writes behind the words before, but for what it also writes without an answer
  if (prompt === '' || shared >= promptedTail.length - prompt.length) return from + shared;
  const to = commonPrefix(whole, render([...before, bareAnswer(answer)], false));
  const found = promptIn(whole, from, to, prompt);
  if (found !== null) return found;
  throw new EbbError(`${where}: the words that open an answer are not in front of it`);
}

/** A rendering up to an answer and with it, and the rendering before it, which part among earlier messages. */
interface Parted {
  readonly before: readonly JsonObject[];
  readonly answer: JsonObject;
  readonly whole: string;
  readonly prompted: string;
  /** The words that open an answer; empty where the template has none. */
  readonly prompt: string;
}

/**
 * The place in the rendering of the first `count` messages at which the last one, an answer, begins to be learnt: behind what it shares with the
 * rendering that ends before it. Where the two part among earlier messages, what follows the words of the message before is compared instead.
 * @throws EbbError where nobody can tell what is the answer's
 */
export function startOf(render: Render, messages: readonly JsonObject[], count: number, whole: string): number {
  const [before, answer] = [messages.slice(0, count - 1), at(messages, count - 1)];
  // Nothing stands before the first message: what its words change is where they begin.
  if (before.length === 0) return commonPrefix(whole, render([{ role: 'assistant', content: PROBE }], false));
  const prompted = render(before, true);
  const common = commonPrefix(prompted, whole);
  const prompt = prompted.slice(commonPrefix(prompted, render(before, false)));
  if (common >= prompted.length - prompt.length) return common;
  const where = `messages[${count - 1}]`;
  try {
    return startBehind(render, { before, answer, whole, prompted, prompt }, where);
  } catch (error) {
    if (!(error instanceof EbbError)) throw error;
    throw new EbbError(
      `${where}: the chat template renders the messages before this answer otherwise than without it, and it cannot be told where the answer begins; give the conversation as prompt and completion, or mark answers by {% generation %} in the template (${error.message})`,
      error.code,
    );
  }
}

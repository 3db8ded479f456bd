/** @file Texts of which parts are learnt, and the tokens and labels that they become. */

import { at } from '../errors.ts';
import type { Encoded, Span } from './engine.ts';
import { prefixFor, suffixFor } from './framing.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A text, and the parts of it that are learnt. */
export interface Lesson {
  readonly text: string;
  readonly learnt: readonly LearntPart[];
  /** Whether the text begins and ends as texts do. A chat template has written all that there is. */
  readonly isFramed: boolean;
}

interface LearntPart {
  readonly span: Span;
  /** Whether the part ends with the rendering of an answer, of which only what the closing control token ends is learnt. */
  readonly isTurn: boolean;
}

/** A completion behind a prompt, as one text. A text without a prompt is learnt whole. */
export const completionLesson = (prompt: string, completion: string): Lesson => ({
  text: prompt + completion,
  learnt: [{ span: [prompt.length, prompt.length + completion.length], isTurn: false }],
  isFramed: true,
});

/** Ids and labels, −100 for what is not learnt. Labels are not shifted. */
export interface Labelled {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

/** The end of a turn that is learnt: behind the control token that closes it, where only white space follows that token. */
function endOfTurn({ text }: Lesson, [from, to]: Span, { ids, spans }: Encoded, tokenizer: Pick<Tokenizer, 'isControl'>): number {
  const closing = spans.findLastIndex(([begin, end], i) => begin >= from && begin < end && end <= to && tokenizer.isControl(at(ids, i)));
  const end = spans[closing]?.[1];
  return end !== undefined && text.slice(end, to).trim() === '' ? end : to;
}

/** The tokens of a lesson. A token with a character in a part that is learnt is learnt. */
function inner(lesson: Lesson, encoded: Encoded, tokenizer: Pick<Tokenizer, 'isControl'>): Labelled {
  const parts = lesson.learnt.map(({ span, isTurn }): Span => (isTurn ? [span[0], endOfTurn(lesson, span, encoded, tokenizer)] : span));
  const { ids, spans } = encoded;
  const isLearnt = ([from, to]: Span): boolean => parts.some(([begin, end]) => from < end && to > begin);
  return { ids, labels: ids.map((id, i) => (isLearnt(at(spans, i)) ? id : -100)) };
}

/** Says how the answers of a lesson end. */
export function endingText({ ids, labels }: Labelled, { token, isControl }: Pick<Tokenizer, 'token' | 'isControl'>): string {
  const last = labels.findLastIndex((label) => label >= 0);
  if (last < 0) return 'a conversation begins and ends as the chat template writes it';
  const id = at(ids, last);
  const end = isControl(id) ? `an answer ends with ${token(id) ?? `token ${id}`}` : 'no control token ends an answer: nothing teaches the model to stop';
  return `a conversation begins as the chat template writes it; ${end}`;
}

/** The tokens of a lesson with what begins and ends a text. What begins it is not learnt, also where the text holds it itself. */
export function labelled(lesson: Lesson, encoded: Encoded, tokenizer: Pick<Tokenizer, 'isControl' | 'framing'>): Labelled {
  const { ids, labels } = inner(lesson, encoded, tokenizer);
  if (!lesson.isFramed) return { ids, labels };
  const { framing } = tokenizer;
  const [prefix, suffix] = [prefixFor(framing, ids), suffixFor(framing, ids)];
  const own = prefix.length === 0 ? framing.prefix.length : 0;
  return { ids: [...prefix, ...ids, ...suffix], labels: [...prefix.map(() => -100), ...labels.map((label, i) => (i < own ? -100 : label)), ...suffix] };
}

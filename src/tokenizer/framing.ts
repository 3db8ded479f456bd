/** @file How a sequence begins and ends, decided here for training, evaluation and generation alike. */

import type { TokenizerEngine } from './engine.ts';

/** The tokens around a text that no chat template wrote. */
export interface Framing {
  /** Ids that come before a text, and are not learnt. */
  readonly prefix: readonly number[];
  /** Ids that end a text, and are learnt. */
  readonly suffix: readonly number[];
}

/** A text that every tokenizer has some token for. */
const PROBE = 'a';

/** Whether `ids` holds `part` at `from`. */
const holds = (ids: readonly number[], part: readonly number[], from: number): boolean => part.every((id, i) => ids[from + i] === id);

/**
 * Finds how texts are framed: what the post-processor puts around them, and behind it the end of text where it puts none.
 * @param end the id of the end of text, null where there is none
 */
export async function framingOf(engine: TokenizerEngine, end: number | null): Promise<Framing> {
  const [[bare], [framed]] = await Promise.all([engine.encode([PROBE], false), engine.encode([PROBE], true)]);
  const [inner, outer] = [bare?.ids ?? [], framed?.ids ?? []];
  const at = Array.from({ length: outer.length - inner.length + 1 }, (_, i) => i).find((i) => holds(outer, inner, i)) ?? 0;
  const [prefix, suffix] = [outer.slice(0, at), outer.slice(at + inner.length)];
  return { prefix, suffix: end === null || suffix.at(-1) === end ? suffix : [...suffix, end] };
}

/** The tokens in front of a text: none where it begins with them already. */
export const prefixFor = ({ prefix }: Framing, ids: readonly number[]): readonly number[] => (holds(ids, prefix, 0) ? [] : prefix);

/** The tokens behind a text: none where it ends with the last of them already. */
export const suffixFor = ({ suffix }: Framing, ids: readonly number[]): readonly number[] => (suffix.length > 0 && ids.at(-1) === suffix.at(-1) ? [] : suffix);

/** Says how a text begins and ends. */
export function framingText({ prefix, suffix }: Framing, token: (id: number) => string | undefined): string {
  const names = (ids: readonly number[]): string => ids.map((id) => token(id) ?? `token ${id}`).join(' ');
  const begin = prefix.length === 0 ? 'begins with its own first token' : `begins with ${names(prefix)}, which is not learnt`;
  const end = suffix.length === 0 ? 'no token ends it, since the tokenizer names none: nothing teaches the model to stop' : `ends with ${names(suffix)}`;
  return `a text ${begin}; ${end}`;
}

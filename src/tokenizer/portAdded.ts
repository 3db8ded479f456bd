/** @file Added tokens in a text, found as the reference finds them: the leftmost, the longest there, with the spaces that they take and the words they keep out of. */

import type { AddedToken } from './addedTokens.ts';

/** A part of a text: an added token, by its id, or what lies between two of them. */
export type Part = { readonly id: number } | { readonly text: string };

/** A token to look for, by what it is called in the text. */
export interface Sought {
  readonly content: string;
  readonly id: number;
  readonly token: AddedToken;
}

/** A tree of the characters of what is sought. */
interface Node {
  readonly next: Map<string, Node>;
  end?: Sought;
}

function tree(sought: readonly Sought[]): Node {
  const root: Node = { next: new Map() };
  for (const one of sought) {
    let node = root;
    for (const unit of one.content.split('')) {
      const next = node.next.get(unit) ?? { next: new Map() };
      node.next.set(unit, next);
      node = next;
    }
    node.end ??= one;
  }
  return root;
}

/** The longest that is found at a place; undefined where none is. */
function foundAt(root: Node, text: string, from: number): Sought | undefined {
  let found: Sought | undefined;
  let node: Node | undefined = root;
  for (let at = from; node; at++) {
    found = node.end ?? found;
    node = node.next.get(text.charAt(at));
  }
  return found;
}

const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d]';
const BEGINS_WITH_WORD = new RegExp(`^${WORD}`, 'u');
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, 'u');

/** Whether a token stands within a word. */
const isWithinWord = (text: string, from: number, to: number): boolean =>
  ENDS_WITH_WORD.test(text.slice(Math.max(0, from - 2), from)) || BEGINS_WITH_WORD.test(text.slice(to, to + 2));

const SPACE = /\p{White_Space}/u;

/** Makes a function that splits a text at added tokens. */
export function splitter(sought: readonly Sought[]): (text: string) => readonly Part[] {
  const root = tree(sought);
  if (sought.length === 0) return (text) => (text === '' ? [] : [{ text }]);
  return (text) => {
    const parts: Part[] = [];
    let done = 0;
    let at = 0;
    while (at < text.length) {
      const one = foundAt(root, text, at);
      if (!one) {
        at++;
        continue;
      }
      const { token, id } = one;
      let [from, to] = [at, at + one.content.length];
      at = to;
      if (token.single_word && isWithinWord(text, from, to)) continue;
      if (token.lstrip) while (from > done && SPACE.test(text.charAt(from - 1))) from--;
      if (token.rstrip) while (to < text.length && SPACE.test(text.charAt(to))) to++;
      if (done < from) parts.push({ text: text.slice(done, from) });
      parts.push({ id });
      done = to;
    }
    if (done < text.length) parts.push({ text: text.slice(done) });
    return parts;
  };
}

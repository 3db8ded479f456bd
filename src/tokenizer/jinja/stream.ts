/** @file Tokens one after the other, as a parser takes them. */

import { raise } from './failure.ts';
import type { Token } from './tokens.ts';

export interface TokenStream {
  /** The token that is next, or one behind it. */
  peek(ahead?: number): Token;
  next(): Token;
  /** Whether the next token is of a type, and has a text where one is given. */
  is(type: Token['type'], text?: string): boolean;
  /** Takes the next token where it is such a one. */
  skip(type: Token['type'], text?: string): boolean;
  /** @throws TemplateError where the next token is another one */
  expect(type: Token['type'], text?: string): Token;
  fail(what: string): never;
}

const shown = ({ type, text }: Token): string => (text === '' ? (type === 'end' ? 'end of template' : type) : JSON.stringify(text));

export function streamOf(tokens: readonly Token[]): TokenStream {
  const END: Token = { type: 'end', text: '', line: 0 };
  let position = 0;
  const peek = (ahead = 0): Token => tokens[position + ahead] ?? tokens.at(-1) ?? END;
  const next = (): Token => {
    const token = peek();
    position++;
    return token;
  };
  const is = (type: Token['type'], text?: string): boolean => peek().type === type && (text === undefined || peek().text === text);
  const fail = (what: string): never => raise('TemplateSyntaxError', `line ${peek().line}: ${what}`);
  const skip = (type: Token['type'], text?: string): boolean => {
    const found = is(type, text);
    if (found) position++;
    return found;
  };
  const expect = (type: Token['type'], text?: string): Token => (is(type, text) ? next() : fail(`expected ${text ?? type}, got ${shown(peek())}`));
  return { peek, next, is, skip, expect, fail };
}

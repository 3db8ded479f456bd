/** @file Colours IR, WGSL and diffs for a terminal. */

import picocolors from 'picocolors';
import { irTokens, type TextToken, type TokenKind, wgslTokens } from './tokens.ts';

type Colours = ReturnType<typeof picocolors.createColors>;
type Language = 'ir' | 'wgsl';

function palette(c: Colours): Readonly<Record<TokenKind, (text: string) => string>> {
  return {
    plain: (text) => text,
    comment: c.gray,
    string: c.green,
    number: c.yellow,
    keyword: c.magenta,
    type: c.cyan,
    function: (text) => c.bold(c.blue(text)),
    value: (text) => text,
    op: c.bold,
    site: c.yellow,
    loc: c.gray,
    attribute: c.dim,
  };
}

/** Colours IR or WGSL. */
export function highlight(text: string, language: Language = 'ir'): string {
  const paint = palette(picocolors.createColors(true));
  const tokens: readonly TextToken[] = language === 'ir' ? irTokens(text) : wgslTokens(text);
  return tokens.map(({ kind, text: piece }) => paint[kind](piece)).join('');
}

/** Colours a unified diff: removed and added lines as a whole, the lines around them by token. */
export function highlightDiff(text: string, language: Language = 'ir'): string {
  const c = picocolors.createColors(true);
  const line = (l: string, i: number): string => {
    if (i < 2 && /^(---|\+\+\+) /.test(l)) return c.bold(l);
    if (l.startsWith('@@')) return c.cyan(l);
    if (l.startsWith('-')) return c.red(l);
    if (l.startsWith('+')) return c.green(l);
    return highlight(l, language);
  };
  return text.split('\n').map(line).join('\n');
}

/** @file IR and WGSL as coloured text. The tokens are those that colour text in a terminal. */

import { el } from '../../page/browser/dom.ts';
import { irTokens, type TextToken, wgslTokens } from '../tokens.ts';

/** Creates a block of code. */
export function code(text: string, language: 'ir' | 'wgsl'): HTMLElement {
  const tokens: readonly TextToken[] = language === 'ir' ? irTokens(text) : wgslTokens(text);
  return el(
    'pre',
    { class: 'code', tabindex: 0 },
    ...tokens.map(({ kind, text: piece }) => (kind === 'plain' ? piece : el('span', { class: `t-${kind}` }, piece))),
  );
}

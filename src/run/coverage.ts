/** @file What of texts a vocabulary does not cover: unknown tokens, and texts that become nothing. */

import { EbbError } from '../errors.ts';
import type { Encoded } from '../tokenizer/engine.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** What of texts the vocabulary does not cover. */
export interface Coverage {
  /** Tokens of texts, and how many of them are unknown ones. */
  tokens: number;
  unknown: number;
  /** How many texts there are, and how many became no token, or unknown ones alone. */
  texts: number;
  uncovered: number;
}

/** Counts what of a text the vocabulary does not cover. White space alone may become nothing. */
export function countCovered(coverage: Coverage, text: string, { ids }: Encoded, { unknownTokenId, token }: Tokenizer): void {
  const name = unknownTokenId === null ? undefined : token(unknownTokenId);
  // a text may name the token itself
  if (text.trim() === '' || (name !== undefined && text.includes(name))) return;
  const unknown = ids.filter((id) => id === unknownTokenId).length;
  coverage.texts++;
  coverage.tokens += ids.length;
  coverage.unknown += unknown;
  if (unknown === ids.length) coverage.uncovered++;
}

/** Says what of the texts the vocabulary does not cover. @throws EbbError where it covers nothing of any text */
export function coverageNotes(
  { path, tokenizer }: { readonly path: string; readonly tokenizer: string },
  { token, unknownTokenId }: Tokenizer,
  { texts, uncovered, tokens, unknown }: Coverage,
): string[] {
  const name = unknownTokenId === null ? '' : (token(unknownTokenId) ?? `token ${unknownTokenId}`);
  const becomes = unknown === 0 ? 'no token' : `no token but ${name}`;
  if (texts > 0 && uncovered === texts)
    throw new EbbError(
      `${path}: every text becomes ${becomes}, since the vocabulary of ${tokenizer} covers none of it; use the tokenizer that is for this text`,
      'input',
    );
  return [
    ...(unknown > 0 ? [`${unknown} of ${tokens} tokens are ${name}, for text that the vocabulary does not cover`] : []),
    ...(uncovered > 0 ? [`${uncovered} of ${texts} texts become ${becomes}, since the vocabulary covers nothing of them`] : []),
  ];
}

/** @file A tokenizer is tried before it is relied on: one that makes no ids, or unknown ones alone, of what its vocabulary covers is broken. */

import { EbbError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Tokens of a vocabulary that are tried. */
const TRIED = 64;
/** Characters of the text that is made of them. */
const LETTERS = 16;

/** Some ordinary tokens of a vocabulary, from all over it, as text: none that is a part of a character, or white space alone. */
async function someWords(tokenizer: Tokenizer): Promise<readonly string[]> {
  const step = Math.max(1, Math.floor(tokenizer.vocabSize / (8 * TRIED)));
  const words = new Set<string>();
  for (let id = 0; id < tokenizer.vocabSize && words.size < TRIED; id += step) {
    if (id === tokenizer.unknownTokenId || tokenizer.isControl(id) || tokenizer.token(id) === undefined) continue;
    const word = (await tokenizer.decode([id])).trim();
    if (word !== '' && !word.includes('\ufffd') && !/^<0x[0-9A-F]{2}>$/.test(word)) words.add(word);
  }
  return [...words];
}

/** A text that the vocabulary covers letter by letter, with spaces between them and without; nothing where it has too few letters. */
function letters(tokenizer: Tokenizer, words: readonly string[]): readonly string[] {
  const own = [...new Set(words.flatMap((word) => [...word]))].filter((letter) => tokenizer.tokenId(letter) !== undefined).slice(0, LETTERS);
  return own.length < 2 ? [] : [own.join(''), own.join(' ')];
}

/**
 * Tries a tokenizer on text that its own vocabulary covers.
 * @throws EbbError where it makes no ids of any of it, or unknown ones alone
 */
export async function tryTokenizer(tokenizer: Tokenizer): Promise<void> {
  const words = await someWords(tokenizer);
  const { path, unknownTokenId: unknown } = tokenizer;
  for (const texts of [words, letters(tokenizer, words)]) {
    if (texts.length === 0) continue;
    const encoded = await tokenizer.encode(texts);
    if (encoded.some(({ ids }) => ids.some((id) => id !== unknown))) continue;
    const makes = encoded.every(({ ids }) => ids.length === 0) ? 'no token' : 'unknown tokens alone';
    throw new EbbError(
      `${path}: the tokenizer makes ${makes} of ${JSON.stringify(texts.reduce((a, b) => (b.length > a.length ? b : a)))}, which its vocabulary covers; it is broken: look at its normalizer, pre_tokenizer and model`,
      'file',
    );
  }
}

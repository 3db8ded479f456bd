/** @file Texts that hold half a surrogate pair, which is no character: encoded, it would be learnt as another one. */

const HALF = /\p{Surrogate}/u;

/** Whether a text is whole characters. */
export const isWhole = (text: string): boolean => !HALF.test(text);

/** Says where a text holds half a surrogate pair. */
export const halfPair = (text: string): string =>
  `character ${text.search(HALF)} of the text is half a surrogate pair (${JSON.stringify(text.charAt(text.search(HALF)))}), which no tokenizer encodes; repair the text`;

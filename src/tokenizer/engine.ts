/** @file What turns text into ids: the reference implementation, or the port. */

/** A part of a text, in UTF-16 units: from the first until before the second. */
export type Span = readonly [from: number, to: number];

/** The tokens of a text. */
export interface Encoded {
  readonly ids: readonly number[];
  /** The part of the text that each token stands for. Bytes of one character lie where the character lies; tokens put around a text are empty. */
  readonly spans: readonly Span[];
}

/** What turns text into ids: the reference implementation, or the port. */
export interface TokenizerEngine {
  /** Encodes texts. @param special whether the tokens that the tokenizer puts around every text are wanted */
  encode(texts: readonly string[], special: boolean): Promise<readonly Encoded[]>;
  /** The text of ids. Ids that there are not are left out. */
  decode(ids: readonly number[], skipSpecial: boolean): Promise<string>;
}

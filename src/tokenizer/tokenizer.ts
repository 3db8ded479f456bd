/** @file A checkpoint's tokenizer: text to token ids and back, where each token lies in the text, and how a sequence begins and ends. */

import type { Encoded } from './engine.ts';
import type { Framing } from './framing.ts';
import type { ChatTemplates } from './templates.ts';

/** A checkpoint's tokenizer. */
export interface Tokenizer {
  /** Where it was read from. */
  readonly path: string;
  /** One more than the largest id. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  /** Everything that the tokenizer's files call an end: of a text, a turn or a message. */
  readonly endTokenIds: readonly number[];
  readonly padTokenId: number | null;
  /** What the model writes for text that no token covers; null where it writes bytes, or nothing. */
  readonly unknownTokenId: number | null;
  readonly templates: ChatTemplates;
  readonly framing: Framing;
  /** What a person should know of it: contradictions in its files, and how they were settled. */
  readonly notes: readonly string[];
  /** The tokens of texts. @param options `special`: also those that the tokenizer puts around every text; default without @throws EbbError for half a surrogate pair */
  encode(texts: readonly string[], options?: { readonly special?: boolean }): Promise<readonly Encoded[]>;
  /** The ids of a text, without those that are put around it. */
  ids(text: string): Promise<readonly number[]>;
  /** Text of ids; with `skipSpecial`, without special tokens. Ids the tokenizer does not have are left out. */
  decode(ids: readonly number[], options?: { readonly skipSpecial?: boolean }): Promise<string>;
  tokenId(token: string): number | undefined;
  token(id: number): string | undefined;
  /** Whether an id is a control token, which no text is but its own name. */
  isControl(id: number): boolean;
}

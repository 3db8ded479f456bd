/** @file Text that is made piece by piece, for `for await`, or as a whole. */

import { EbbError } from '../errors.ts';

/** Text as it is made. It is made once: either piece by piece, or as a whole. */
export interface TextStream extends AsyncIterable<string> {
  /** Waits for the whole text. */
  text(): Promise<string>;
}

/** The text of pieces that are made when it is first read. @throws EbbError where it is read a second time */
export function textStream(make: () => AsyncGenerator<string>): TextStream {
  let isRead = false;
  const read = (): AsyncGenerator<string> => {
    if (isRead) throw new EbbError('the text was read already, and it is made once; ask for it again');
    isRead = true;
    return make();
  };
  return {
    [Symbol.asyncIterator]: read,
    async text() {
      let whole = '';
      for await (const piece of read()) whole += piece;
      return whole;
    },
  };
}

/** Turns token ids into pieces of text. Characters whose bytes are not all there wait for them; at the end nothing waits. */
export async function* decoded(ids: AsyncIterable<number>, decode: (ids: readonly number[]) => Promise<string>): AsyncGenerator<string> {
  const all: number[] = [];
  let whole = '';
  let shown = 0;
  for await (const id of ids) {
    all.push(id);
    whole = await decode(all);
    if (whole.endsWith('\ufffd')) continue;
    if (whole.length > shown) yield whole.slice(shown);
    shown = whole.length;
  }
  if (whole.length > shown) yield whole.slice(shown);
}

/** @file Text that is made piece by piece, for `for await`, or as a whole. */

/** Text as it is made. It is made once: either piece by piece, or as a whole. */
export interface TextStream extends AsyncIterable<string> {
  /** Waits for the whole text. */
  text(): Promise<string>;
}

/** The text of a generator of pieces. */
export function textStream(pieces: AsyncGenerator<string>): TextStream {
  return {
    [Symbol.asyncIterator]: () => pieces,
    async text() {
      let whole = '';
      for await (const piece of pieces) whole += piece;
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

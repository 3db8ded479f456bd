/** @file How far the saving of a run's tensors is, told in bytes. */

import type { Engine } from '../runtime/execute.ts';
import { storedBytes } from '../runtime/lasting.ts';
import { pieces, type Watch } from './progress.ts';

/** Kinds of tensors that training keeps of a parameter. */
type Kind = NonNullable<Parameters<Engine['readPieces']>[1]>;

/** An engine whose tensors are read to be saved, and that tells how much of them was. @param what such as `saving step 20` @param kinds what is saved of every trained parameter */
export function whileSaving(engine: Engine, { onProgress }: Pick<Watch, 'onProgress'>, what: string, kinds: readonly Kind[]): Engine {
  const tell = pieces({ onProgress }, what, 'bytes');
  const total = kinds.length * engine.program.params.reduce((sum, p) => sum + (p.trainable ? storedBytes(p) : 0), 0);
  let done = 0;
  return {
    ...engine,
    async *readPieces(...of) {
      for await (const piece of engine.readPieces(...of)) {
        yield piece;
        done += piece.byteLength;
        tell(Math.min(done, total), total);
      }
    },
  };
}

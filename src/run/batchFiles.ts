/** @file Data files as micro-batches, once their bytes are read; the same in Node and in a page. */

import { EbbError } from '../errors.ts';
import { i32FromBytes } from '../formats/floats.ts';
import type { ReadyBatches } from '../formats/readyBatches.ts';
import { narrowest } from '../runtime/inputs.ts';
import type { IdRange, InputDecl } from '../runtime/program.ts';
import { type Batch, type BatchSource, checkTokens, makeBatch, readyBatches, tokenStream } from '../train/batches.ts';

/** What a language model's batches hold; a model with other inputs takes a tensor for each. */
const SEQUENCE_INPUTS = ['tokens', 'targets', 'segments'];

/** Whether a model is given token ids, rather than a tensor for each of its inputs. */
export const takesSequences = (inputs: readonly InputDecl[]): boolean => inputs.every((i) => SEQUENCE_INPUTS.includes(i.name));

/** What token ids may be: those of a language model, or what the inputs of another model say. */
export function tokenRange(inputs: readonly InputDecl[], vocabSize: number | null): IdRange | null {
  return vocabSize === null ? narrowest(inputs) : { least: 0, below: vocabSize, of: 'the model has tokens' };
}

/** Little-endian int32 token ids, `[batch, length + 1]` a step. @throws EbbError when the bytes hold no whole step */
export function tokenSteps(where: string, bytes: Uint8Array, batch: number, length: number, ids: IdRange | null): BatchSource {
  if (bytes.length % 4 !== 0) throw new EbbError(`${where}: is ${bytes.length} bytes long, expected int32 token ids, four bytes each`);
  return tokenStream(where, i32FromBytes(bytes), batch, length, ids);
}

/** Ready batches under the hub's names. @throws EbbError when labels are missing, and for a token that the model does not have */
export function hubSteps(where: string, ready: ReadyBatches, ids: IdRange | null): BatchSource {
  const { labels } = ready;
  if (!labels) throw new EbbError(`${where}: labels are missing, expected them beside input_ids, of the same shape`);
  const vocabSize = ids?.below ?? Number.MAX_SAFE_INTEGER;
  checkTokens(where, ready.length, ready.inputIds, labels, ready.attentionMask, vocabSize);
  const size = ready.batch * ready.length;
  return readyBatches(ready.steps, (step): Batch => {
    const part = (data: Int32Array): Int32Array => data.slice(step * size, (step + 1) * size);
    return makeBatch(ready.batch, ready.length, part(ready.inputIds), part(labels), ready.attentionMask ? part(ready.attentionMask) : null, vocabSize);
  });
}

/**
 * @param sizes run-time dimensions of the largest batch
 * @param hints what to do about a batch, and a sequence, that is too large
 * @throws EbbError for data with larger batches or longer sequences than a trainer was compiled for
 */
export function checkBounds(
  where: string,
  sizes: Readonly<Record<string, number>>,
  bounds: Readonly<Record<string, number>>,
  hints: { readonly batch: string; readonly length: string },
): void {
  for (const [name, size] of Object.entries(sizes)) {
    const bound = Object.hasOwn(bounds, name) ? (bounds[name] ?? size) : size;
    if (size <= bound) continue;
    const what = name === 'B' ? `a batch has ${size} sequences` : name === 'T' ? `a sequence has ${size} tokens` : `dimension ${name} is ${size}`;
    const hint = name === 'B' ? hints.batch : name === 'T' ? hints.length : 'give smaller inputs';
    throw new EbbError(`${where}: ${what}, this trainer was compiled for at most ${bound}; ${hint}, or compile for more`);
  }
}

/** @throws EbbError naming the file when its sequences are longer than the model has positions for */
export function checkPositions(where: string, length: number, maxPosition: number | null, hint = 'lower the length'): void {
  if (maxPosition !== null && length > maxPosition)
    throw new EbbError(`${where}: a sequence is ${length} tokens, the model has positions for ${maxPosition}; ${hint}`);
}

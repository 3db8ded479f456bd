/** @file Batches of token ids under the hub's names, without Node. */

import { EbbError } from '../errors.ts';

/** Batches of token ids: each array is [steps, batch, length], row-major. */
export interface ReadyBatches {
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly inputIds: Int32Array;
  /** Not shifted; −100 is ignored. */
  readonly labels: Int32Array | null;
  /** 1 for tokens, 0 for padding. */
  readonly attentionMask: Int32Array | null;
}

export interface IntTensor {
  readonly shape: readonly number[];
  readonly data: Int32Array;
}

function checkMask(path: string, mask: IntTensor | undefined): void {
  const at = mask?.data.findIndex((x) => x !== 0 && x !== 1) ?? -1;
  if (at >= 0) throw new EbbError(`${path}: attention_mask has ${mask?.data[at]} at element ${at}, expected 0 or 1`);
}

/** Batches out of the tensors `input_ids`, `labels` and `attention_mask`. @throws EbbError naming the one that does not fit */
export function assembleBatches(path: string, take: (name: string) => IntTensor | undefined): ReadyBatches {
  const ids = take('input_ids');
  if (!ids) throw new EbbError(`${path}: input_ids is missing, expected token ids [batch, length] or [steps, batch, length]`);
  const { shape } = ids;
  const [length, batch, steps = 1, ...more] = [...shape].reverse();
  if (length === undefined || batch === undefined || more.length > 0 || ids.data.length === 0) {
    throw new EbbError(`${path}: input_ids has shape [${shape.join(', ')}], expected [batch, length] or [steps, batch, length], none of them 0`);
  }
  const same = (name: string): IntTensor | undefined => {
    const tensor = take(name);
    if (tensor && (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i]))) {
      throw new EbbError(`${path}: ${name} has shape [${tensor.shape.join(', ')}], expected that of input_ids, [${shape.join(', ')}]`);
    }
    return tensor;
  };
  const labels = same('labels');
  const mask = same('attention_mask');
  checkMask(path, mask);
  return { steps, batch, length, inputIds: ids.data, labels: labels?.data ?? null, attentionMask: mask?.data ?? null };
}

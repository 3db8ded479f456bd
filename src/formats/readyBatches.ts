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
  /** The position of each token in its sequence, of which a row may hold several; only there where the file holds it. */
  readonly positionIds?: Int32Array;
  /** Names in the file that are no part of a batch and are not used; only there where there are any. */
  readonly unused?: readonly string[];
}

export interface IntTensor {
  readonly shape: readonly number[];
  readonly data: Int32Array;
}

function checkMask(path: string, mask: IntTensor | undefined): void {
  const at = mask?.data.findIndex((x) => x !== 0 && x !== 1) ?? -1;
  if (at >= 0) throw new EbbError(`${path}: attention_mask has ${mask?.data[at]} at element ${at}, expected 0 or 1`);
}

/** The names of a batch. */
const NAMES: readonly string[] = ['input_ids', 'labels', 'attention_mask', 'position_ids'];
/** What else models of the hub are given with a batch. */
const OTHER_INPUTS = /^(token_type_ids|inputs_embeds|head_mask|past_key_values|decoder_\w+|encoder_\w+|pixel_values|cu_seq_?lens\w*|seq_idx)$/;

/**
 * What a file holds beside its batches and is not used. @param held names with their shapes
 * @throws EbbError for what would be another input: by its name, or as it has an element for each token
 */
function unusedNames(path: string, shape: readonly number[], held: Iterable<readonly [name: string, shape: readonly number[]]>): string[] {
  const others = [...held].filter(([name]) => !NAMES.includes(name));
  const input = others.find(([name, own]) => OTHER_INPUTS.test(name) || own.join() === shape.join());
  if (input)
    throw new EbbError(`${path}: holds ${input[0]}, which the models that Ebb trains on batches do not take (they take ${NAMES.join(', ')}); leave it out`);
  return others.map(([name]) => name);
}

/**
 * Batches out of the tensors `input_ids`, `labels`, `attention_mask` and `position_ids`.
 * @param held all names that the file holds, with the shapes of what lies there
 * @throws EbbError naming the one that does not fit, and one that would be another input of a model
 */
export function assembleBatches(
  path: string,
  take: (name: string) => IntTensor | undefined,
  held: Iterable<readonly [name: string, shape: readonly number[]]>,
): ReadyBatches {
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
  const positions = same('position_ids');
  const unused = unusedNames(path, shape, held);
  return {
    steps,
    batch,
    length,
    inputIds: ids.data,
    labels: labels?.data ?? null,
    attentionMask: mask?.data ?? null,
    ...(positions ? { positionIds: positions.data } : {}),
    ...(unused.length > 0 ? { unused } : {}),
  };
}

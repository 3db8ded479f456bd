/** @file What a model needs of a checkpoint: its tensors, and what the files call them. */

import type { JsonObject } from './json.ts';

/** Where a tensor lies in a GGUF file. */
export interface GgufPlace {
  readonly name: string;
  /**
   * Of q and k: how many heads the rows belong to, where GGUF keeps the two rows that rotary embedding turns together side by side and the
   * model has them half a head apart. Left out where the rows lie as the model has them.
   */
  readonly pairedHeads?: number;
}

/** A tensor that a model needs. */
export interface ExpectedTensor {
  /** The parameter's name, which is the one that Hugging Face's class for language models gives it. */
  readonly name: string;
  readonly shape: readonly number[];
  /** The fields of config.json that the shape comes from, for errors: `vocab_size × hidden_size`. */
  readonly from: string;
  /** Left out where no GGUF file holds such a tensor. */
  readonly gguf?: GgufPlace;
}

/** The head of a language model, which a configuration may tie to the embedding. */
export interface TiedHead {
  /** The name of its tensor. */
  readonly name: string;
  /** The names that files may give the embedding. */
  readonly embedding: readonly string[];
}

/** How checkpoints hold a model. */
export interface Layout {
  /** Every tensor the model needs, in its order, one at a time: a configuration with 10⁹ layers costs nothing until it is walked. */
  readonly tensors: () => Iterable<ExpectedTensor>;
  /** What names begin with in a checkpoint of the whole model, and lack in one of the bare model: `model.`; empty where nothing does. */
  readonly prefix: string;
  /** Names, or ends of names from a dot on, of tensors that may lie in the files and are not read, since the model computes or shares them. */
  readonly computed: readonly string[];
  /** The head, where a configuration may tie it; null where nothing can. */
  readonly head: TiedHead | null;
  /** `general.architecture` of the model's GGUF files; null where Ebb reads none. */
  readonly ggufArchitecture: string | null;
  /** The setting that a tensor is needed by, for errors: `num_hidden_layers is 2`. */
  readonly reason: (tensor: ExpectedTensor) => string;
  /** The model's config.json, as it is written beside weights that come out of a GGUF file. */
  readonly configJson: () => JsonObject;
}

/** A model as a file describes it. */
export interface Described<Model> {
  readonly model: Model;
  /** What the file holds and nothing uses, for a person to know. */
  readonly notes: readonly string[];
}

/** Whether a tensor of the files is one that the model computes or shares, so that nothing reads it. */
export function isComputed({ computed }: Pick<Layout, 'computed'>, name: string): boolean {
  return computed.some((end) => name === end || name.endsWith(`.${end}`));
}

/** @file What a language model is given in a step, by mode: training, logits, or generation with a key-value cache. */

import type { Type, Value } from '../ir/types.ts';
import { state } from '../trace/context.ts';
import { cacheWrite, embedding, reshape, type Tensor } from '../trace/nn.ts';
import { sizesOf } from './sizes.ts';

/** What the layers of a language model are told of the step's tokens. */
export interface SequenceInputs {
  /** Token ids, i32 [B, T]. */
  readonly tokens: Tensor;
  /** The next token of each, i32 [B, T], negative where there is no loss; undefined where logits are wanted. */
  readonly targets?: Tensor;
  /** Segment of each token, i32 [B, T]. Tokens of one segment see each other, 0 is padding. */
  readonly segments: Tensor;
  /** Segment of each key: those of the tokens, or [B, capacity] with a cache. */
  readonly keySegments: Tensor;
  /** The position of each token in its sequence, i32 [B, T]; undefined: they count through the row, from the call's position on. */
  readonly positionIds?: Tensor;
  /** How many tokens the key-value cache holds; undefined where there is none. */
  readonly cache?: number | undefined;
  /** The token whose logits are wanted, i32 [1]; undefined: all of them. */
  readonly last?: Tensor;
  /** How many positions a sequence can have. */
  readonly positions: number;
}

/** What a model is asked for: the inputs of its step, and what its layers are told of them. */
export interface ModelMode {
  readonly inputs: Readonly<Record<string, Type>>;
  readonly sequence: (inputs: Readonly<Record<string, Value>>) => SequenceInputs;
}

const IDS: Type = { dtype: 'i32', shape: ['B', 'T'] };
const ONE: Type = { dtype: 'i32', shape: [1, 'T'] };

function take(inputs: Readonly<Record<string, Value>>, name: string): Value {
  const value = inputs[name];
  if (!value) throw new Error(`input ${name} is missing`);
  return value;
}

/** What a model is given beside its tokens. */
export interface ModeOptions {
  /** Whether it is given the position of each token, as rows hold several sequences. Default: no. */
  readonly positions?: boolean;
}

/** The inputs of whole sequences, and those of them that layers are told of. */
function wholeSequences(names: readonly string[], positions: number, given: ModeOptions): ModelMode {
  const asked = [...names, ...(given.positions === true ? ['positions'] : [])];
  return {
    inputs: Object.fromEntries(asked.map((name) => [name, IDS])),
    sequence: (inputs) => {
      const segments = take(inputs, 'segments');
      const targets = names.includes('targets') ? { targets: take(inputs, 'targets') } : {};
      const positionIds = given.positions === true ? { positionIds: take(inputs, 'positions') } : {};
      return { tokens: take(inputs, 'tokens'), ...targets, segments, keySegments: segments, ...positionIds, positions };
    },
  };
}

/** The model gives the loss of next-token prediction, f32[], for rows of at most `positions` tokens. */
export const trainingMode = (positions: number, given: ModeOptions = {}): ModelMode => wholeSequences(['tokens', 'targets', 'segments'], positions, given);

/** The model gives logits [B, T, vocabSize] of rows of at most `positions` tokens. */
export const logitsMode = (positions: number, given: ModeOptions = {}): ModelMode => wholeSequences(['tokens', 'segments'], positions, given);

/**
 * The model is given some tokens that follow `position` earlier ones, whose keys and values lie in a cache of `capacity` tokens, and gives the
 * logits [1, 1, vocabSize] of one of them, `last`.
 */
export function generationMode(capacity: number): ModelMode {
  return {
    inputs: { tokens: ONE, segments: ONE, key_segments: { dtype: 'i32', shape: [1, capacity] }, last: { dtype: 'i32', shape: [1] } },
    sequence: (inputs) => ({
      tokens: take(inputs, 'tokens'),
      last: take(inputs, 'last'),
      segments: take(inputs, 'segments'),
      keySegments: take(inputs, 'key_segments'),
      cache: capacity,
      positions: capacity,
    }),
  };
}

/** Keys or values x [B, T, heads, headDim], or, with a cache, all of it [B, capacity, heads, headDim], x written into it at the call's position. */
export function keyValueCache(capacity: number | undefined, name: string, x: Tensor): Tensor {
  if (capacity === undefined) return x;
  const [batch, , heads, width] = sizesOf(x, 4);
  return cacheWrite(state(`cache.${name}`, { dtype: 'f32', shape: [batch, capacity, heads, width] }), x);
}

/** The rows of x [B, T, width] whose logits are wanted: all, or [1, 1, width] of one. */
export function wantedRows(x: Tensor, last: Tensor | undefined): Tensor {
  if (!last) return x;
  const [, tokens, width] = sizesOf(x, 3);
  return reshape(embedding(reshape(x, [tokens, width]), last), [1, 1, width]);
}

/** @file What a language model is given in a step, by mode: training, logits, or generation with a key-value cache. */

import type { Type, Value } from '../ir/types.ts';
import { state } from '../trace/context.ts';
import { cacheWrite, embedding, reshape, type Tensor } from '../trace/nn.ts';
import { sizesOf } from './sizes.ts';

export interface SequenceInputs {
  /** Token ids, i32 [B, T]. */
  readonly tokens: Tensor;
  /** Next tokens, i32 [B, T], negative where there is no loss. */
  readonly targets?: Tensor;
  /** 0 is padding; tokens of equal segment see each other; i32 [B, T]. */
  readonly segments: Tensor;
  /** Of the keys: the same, or [B, capacity] with a cache. */
  readonly keySegments: Tensor;
  /** Tokens the key-value cache holds; none without one. */
  readonly cache?: number | undefined;
  /** Which token's logits are wanted, i32 [1]; all without it. */
  readonly last?: Tensor;
  /** How many positions there can be. */
  readonly positions: number;
}

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

/** Loss of next-token prediction; at most `positions` tokens a sequence. */
export function trainingMode(positions: number): ModelMode {
  return {
    inputs: { tokens: IDS, targets: IDS, segments: IDS },
    sequence: (inputs) => {
      const segments = take(inputs, 'segments');
      return { tokens: take(inputs, 'tokens'), targets: take(inputs, 'targets'), segments, keySegments: segments, positions };
    },
  };
}

/** Logits [B, T, vocabSize] of whole sequences. */
export function logitsMode(positions: number): ModelMode {
  return {
    inputs: { tokens: IDS, segments: IDS },
    sequence: (inputs) => {
      const segments = take(inputs, 'segments');
      return { tokens: take(inputs, 'tokens'), segments, keySegments: segments, positions };
    },
  };
}

/** Logits [1, 1, vocabSize] of token `last` of some new ones after `position` cached ones; the cache holds `capacity` tokens. */
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

export function stepInputs(mode: ModelMode): Readonly<Record<string, Type>> {
  return mode.inputs;
}

/** x [B, T, heads, headDim] itself without a cache; else the cache [B, capacity, heads, headDim] with x written at the position. */
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

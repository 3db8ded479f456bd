/** @file Self-attention of language models: causal, within segments, over a key-value cache where there is one, through a window if wanted. */

import { named } from '../trace/naming.ts';
import { attention, linear, reshape, type Tensor } from '../trace/nn.ts';
import { keyValueCache, type SequenceInputs } from './inputs.ts';
import { sizesOf, widthOf } from './sizes.ts';

/** How queries see keys, beyond causality and segments. */
export interface SightOptions {
  /** What scores are multiplied by; default 1/√headDim. */
  readonly scale?: number;
  /** How many keys a query sees at most, itself included; null or left out: all before it. */
  readonly window?: number | null;
  /** Scores s become softCap·tanh(s/softCap); null or left out: they stay. */
  readonly softCap?: number | null;
}

/** Queries, keys and values of the step's tokens. */
export interface AttentionInputs {
  /** [B, T, heads, headDim]. */
  readonly q: Tensor;
  /** [B, T, kvHeads, headDim], kvHeads a divisor of heads: query head h reads key head ⌊h · kvHeads / heads⌋. */
  readonly k: Tensor;
  readonly v: Tensor;
}

/**
 * Causal attention of a sequence to itself → [B, T, heads, headDim]. With a cache, keys and values are written to it at the call's position
 * and the whole of it is looked at. The cache holds every token, also where a window hides most of them.
 * @param name of the layer, which its cache is called after
 */
export function causalAttention(name: string, { q, k, v }: AttentionInputs, sequence: SequenceInputs, options: SightOptions = {}): Tensor {
  const { segments, keySegments, cache } = sequence;
  const { scale = 1 / Math.sqrt(widthOf(q)), window = null, softCap = null } = options;
  const keys = keyValueCache(cache, `${name}.k`, k);
  const values = keyValueCache(cache, `${name}.v`, v);
  return attention(q, keys, values, {
    scale,
    causal: true,
    segments: [segments, keySegments],
    ...(window === null ? {} : { window }),
    ...(softCap === null ? {} : { softCap }),
  });
}

/** Which projections of an attention have biases: all, none, or those of queries, keys and values alone. */
export type AttentionBias = boolean | 'qkv';

/** The sizes of a self-attention, and what differs between families. */
export interface SelfAttentionOptions extends SightOptions {
  readonly numHeads: number;
  /** Heads of keys and values: a divisor of numHeads. */
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Default: none. */
  readonly bias?: AttentionBias;
  /** What becomes of q and k [B, T, heads, headDim] before they meet: rotary embedding, norms. Default: nothing. */
  readonly prepare?: (x: Tensor, which: 'q' | 'k') => Tensor;
}

/** Grouped-query self-attention of h [B, T, width] → [B, T, width], by the linear layers `<name>.q_proj`, `.k_proj`, `.v_proj` and `.o_proj`. */
export function selfAttention(name: string, h: Tensor, sequence: SequenceInputs, options: SelfAttentionOptions): Tensor {
  const { numHeads, numKvHeads, headDim, bias = false, prepare = (x) => x, ...sight } = options;
  const [batch, tokens] = sizesOf(h, 3);
  const width = widthOf(h);
  const project = (which: string, heads: number): Tensor =>
    reshape(linear(`${name}.${which}_proj`, h, { inputs: width, outputs: heads * headDim, bias: bias !== false }), [batch, tokens, heads, headDim]);
  const q = named('q', prepare(project('q', numHeads), 'q'));
  const k = named('k', prepare(project('k', numKvHeads), 'k'));
  const v = named('v', project('v', numKvHeads));
  const o = causalAttention(name, { q, k, v }, sequence, sight);
  return linear(`${name}.o_proj`, reshape(o, [batch, tokens, numHeads * headDim]), { inputs: numHeads * headDim, outputs: width, bias: bias === true });
}

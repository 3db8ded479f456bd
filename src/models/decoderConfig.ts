/** @file The part of a configuration that most decoders have: RMSNorm, rotary grouped-query attention, a gated MLP. */

import { EbbError } from '../errors.ts';
import type { GgufKeys } from '../formats/ggufKeys.ts';
import { type FieldsOf, field, paddingIndex, readTokens, tokenFields, writeTokens } from '../formats/hfConfig.ts';
import { type Rope, readRope, ropeFields, writeRope } from '../formats/hfRope.ts';
import type { JsonObject } from '../formats/json.ts';
import { type Activation, activations } from './activations.ts';
import type { ModelConfig } from './family.ts';
import { readGgufScaling } from './ggufRope.ts';

/** A decoder's configuration, but for what is a family's own. */
export interface DecoderConfig extends ModelConfig, Rope {
  /** Width between the projections of the MLP. */
  readonly intermediateSize: number;
  readonly numHeads: number;
  /** Heads of keys and values: a divisor of numHeads. */
  readonly numKvHeads: number;
  /** Width of a head. It need not be hiddenSize / numHeads. */
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** The row of the embedding that look-ups give no gradient (`padding_idx` in transformers): the pad token's. Default: none. */
  readonly paddingIndex?: number | null;
  readonly hiddenAct: Activation;
}

/** The fields of config.json that `readDecoder` reads. */
export const decoderFields = {
  vocab_size: field.size,
  hidden_size: field.size,
  intermediate_size: field.size,
  num_hidden_layers: field.layers,
  num_attention_heads: field.size,
  num_key_value_heads: field.size.nullish(),
  head_dim: field.size.nullish(),
  hidden_act: field.oneOf(Object.keys(activations) as Activation[]).nullish(),
  rms_norm_eps: field.positive.nullish(),
  max_position_embeddings: field.size.nullish(),
  tie_word_embeddings: field.flag.nullish(),
  pad_token_id: field.whole.nullish(),
  ...tokenFields,
  ...ropeFields,
};

/** Values that families take where a file has none. */
export interface DecoderDefaults {
  readonly numKvHeads: number;
  readonly maxPosition: number;
}

/** @throws EbbError where heads do not divide into groups, or rotary embeddings find no pairs; `where` is the file, which begins the error */
function checkHeads<Config extends DecoderConfig>(where: string, config: Config): Config {
  const { numHeads, numKvHeads, headDim } = config;
  if (numHeads % numKvHeads !== 0)
    throw new EbbError(`${where}: num_key_value_heads is ${numKvHeads}, expected a divisor of num_attention_heads, which is ${numHeads}`);
  if (headDim % 2 !== 0) throw new EbbError(`${where}: head_dim is ${headDim}, expected an even number (rotary embeddings turn pairs)`);
  return config;
}

/** hiddenSize / numHeads. @throws EbbError where that is no whole number; the fields are called as given */
export function headWidth(
  where: string,
  [sizeField, hiddenSize]: readonly [string, number],
  [headsField, numHeads]: readonly [string, number],
  or = '',
): number {
  if (hiddenSize % numHeads === 0) return hiddenSize / numHeads;
  throw new EbbError(`${where}: ${sizeField} is ${hiddenSize}, expected a multiple of ${headsField}, which is ${numHeads}${or}`);
}

/**
 * The configuration of `decoderFields`.
 * @param kind the family
 * @param defaults what the reference takes where the file has no such field
 * @throws EbbError for sizes that do not fit each other
 */
export function readDecoder<Kind extends string>(
  kind: Kind,
  where: string,
  raw: FieldsOf<typeof decoderFields>,
  defaults: DecoderDefaults,
): DecoderConfig & { readonly kind: Kind } {
  const { num_attention_heads: numHeads, num_key_value_heads: kvHeads = defaults.numKvHeads, hidden_size: hiddenSize } = raw;
  return checkHeads(where, {
    kind,
    vocabSize: raw.vocab_size,
    hiddenSize,
    intermediateSize: raw.intermediate_size,
    numLayers: raw.num_hidden_layers,
    numHeads,
    // null is an older file's word for heads that are not grouped
    numKvHeads: kvHeads ?? numHeads,
    headDim: raw.head_dim ?? headWidth(where, ['hidden_size', hiddenSize], ['num_attention_heads', numHeads], ' (or a head_dim of its own)'),
    rmsNormEps: raw.rms_norm_eps ?? 1e-6,
    ...readRope(where, raw),
    tieWordEmbeddings: raw.tie_word_embeddings ?? false,
    maxPosition: raw.max_position_embeddings ?? defaults.maxPosition,
    ...readTokens(raw),
    paddingIndex: paddingIndex(where, 'pad_token_id', raw.pad_token_id, raw.vocab_size),
    hiddenAct: raw.hidden_act ?? 'silu',
  });
}

/** The fields that `readDecoder` reads back. */
export function writeDecoder(config: DecoderConfig): JsonObject {
  return {
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKvHeads,
    head_dim: config.headDim,
    hidden_act: config.hiddenAct,
    max_position_embeddings: config.maxPosition,
    rms_norm_eps: config.rmsNormEps,
    ...writeRope(config),
    tie_word_embeddings: config.tieWordEmbeddings,
    ...writeTokens(config),
    pad_token_id: config.paddingIndex ?? null,
    dtype: 'float32',
  };
}

/** How many rows the embedding has: as the file says, else as the tensor itself has, else one for each token. */
function vocabSize({ gguf: { tensors, metadata }, size }: GgufKeys): number {
  const rows = tensors.get('token_embd.weight')?.dims[1];
  const tokens = metadata.get('tokenizer.ggml.tokens');
  return size('vocab_size', rows ?? (Array.isArray(tokens) ? tokens.length : undefined));
}

/** The configuration in the keys of a GGUF file whose tensors are called as Llama's. @throws EbbError for what is missing, and sizes that do not fit */
export function readDecoderKeys<Kind extends string>(kind: Kind, keys: GgufKeys): DecoderConfig & { readonly kind: Kind } {
  const { gguf, named, size, positive, value } = keys;
  const hiddenSize = size('embedding_length');
  const numHeads = size('attention.head_count');
  const headDim =
    value('attention.key_length') === undefined
      ? headWidth(gguf.file, [named('embedding_length'), hiddenSize], [named('attention.head_count'), numHeads])
      : size('attention.key_length');
  for (const key of ['attention.value_length', 'rope.dimension_count']) if (size(key, headDim) !== headDim) keys.refuse(key, `the head width, ${headDim}`);
  const ropeTheta = positive('rope.freq_base', 10000);
  const ends = [keys.token('eos'), keys.token('eot')].filter((x) => x !== null);
  const rows = vocabSize(keys);
  return checkHeads(gguf.file, {
    kind,
    vocabSize: rows,
    hiddenSize,
    intermediateSize: size('feed_forward_length'),
    numLayers: size('block_count'),
    numHeads,
    numKvHeads: size('attention.head_count_kv', numHeads),
    headDim,
    rmsNormEps: positive('attention.layer_norm_rms_epsilon'),
    ropeTheta,
    ropeScaling: readGgufScaling(keys, headDim, ropeTheta),
    tieWordEmbeddings: !gguf.tensors.has('output.weight'),
    maxPosition: size('context_length', 2048),
    bosTokenId: keys.token('bos'),
    eosTokenIds: [...new Set(ends)],
    paddingIndex: paddingIndex(gguf.file, 'tokenizer.ggml.padding_token_id', keys.token('padding'), rows),
    hiddenAct: 'silu',
  });
}

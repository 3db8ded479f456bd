/** @file config.json of a Llama or GPT-2 checkpoint (old style, and transformers 5's) as a plain typed configuration. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { refuseUnsupported } from './hfConfigFields.ts';
import { type RopeScaling, readRope } from './hfRope.ts';
import { isObject, type JsonObject, parseJsonObject } from './json.ts';

export type { RopeScaling } from './hfRope.ts';

/** What may stand between the two projections of a GPT-2's MLP, and act on the gate of a Llama's. */
const GPT2_ACTIVATIONS = ['gelu_new', 'gelu', 'gelu_pytorch_tanh', 'relu'] as const;
const LLAMA_ACTIVATIONS = ['silu', ...GPT2_ACTIVATIONS] as const;

export interface LlamaConfig {
  readonly kind: 'llama';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Width of a head; need not be hiddenSize / numHeads. */
  readonly headDim: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
  /** Biases on q, k, v and o. */
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly tieWordEmbeddings: boolean;
  readonly maxPosition: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  /** The row of the embedding that look-ups give no gradient: pad_token_id, counted from the end where it is negative (`padding_idx`). Default: none. */
  readonly paddingIndex?: number | null;
  readonly hiddenAct: (typeof LLAMA_ACTIVATIONS)[number];
}

export interface Gpt2Config {
  readonly kind: 'gpt2';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly maxPosition: number;
  readonly layerNormEps: number;
  readonly tieWordEmbeddings: boolean;
  readonly hiddenAct: (typeof GPT2_ACTIVATIONS)[number];
  /** What scores are multiplied by: 1/√headDim, or 1 where scale_attn_weights is false. */
  readonly attentionScale: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

export type ModelConfig = LlamaConfig | Gpt2Config;

/** A configuration, and what in the file Ebb read but does not use (for a person to know). */
export interface ConfigReading {
  readonly config: ModelConfig;
  readonly notes: readonly string[];
}

const size = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
/** More layers than any model has: a broken number, and each would be traced. */
const layers = z.int().min(1).max(10_000);
const tokenId = z.int().min(0);
const tokens = {
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
};
const positive = z.number().positive();

const llamaFields = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layers,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: z.enum(LLAMA_ACTIVATIONS).nullish(),
  rms_norm_eps: positive.nullish(),
  max_position_embeddings: size.nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  pad_token_id: z.int().nullish(),
  ...tokens,
});

const gpt2Fields = z.object({
  vocab_size: size,
  n_embd: size,
  n_layer: layers,
  n_head: size,
  n_positions: size,
  n_inner: size.nullish(),
  activation_function: z.enum(GPT2_ACTIVATIONS).nullish(),
  layer_norm_epsilon: positive.nullish(),
  scale_attn_weights: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  ...tokens,
});

/** Types in the words of a person, where their own name is none. */
const TYPE_WORDS: Readonly<Record<string, string>> = { int: 'a whole number', number: 'a number', boolean: 'true or false' };

/** What was expected where an issue arose; the only unions among the fields are token ids. */
function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    case 'invalid_value':
      return `one of ${issue.values.join(', ')}`;
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? `a ${issue.expected}`;
    case 'invalid_union':
      return 'a token id or a list of token ids';
    default:
      return issue.message;
  }
}

/** Reads `fields` by a schema; the error names every field, what was found and what was expected. */
export function readFields<T>(where: string, schema: z.ZodType<T>, fields: JsonObject): T {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const name = issue.path.join('.');
    const value = issue.path.reduce<unknown>((v, key) => (isObject(v as JsonObject) ? (v as JsonObject)[String(key)] : undefined), fields);
    return `${name} is ${value === undefined ? 'missing' : show(value)}, expected ${expectation(issue)}`;
  });
  throw new EbbError(`${where}: ${problems.join('; ')}`);
}

function tokenIds(raw: number | number[] | null | undefined): readonly number[] {
  return raw === null || raw === undefined ? [] : [raw].flat();
}

function headWidth(where: string, field: string, hiddenSize: number, numHeads: number): number {
  if (hiddenSize % numHeads === 0) return hiddenSize / numHeads;
  throw new EbbError(
    `${where}: ${field} is ${hiddenSize}, expected a multiple of ${field === 'n_embd' ? 'n_head' : 'num_attention_heads'}, which is ${numHeads}${field === 'n_embd' ? '' : ' (or a head_dim of its own)'}`,
  );
}

/**
 * The row that transformers hands to `nn.Embedding` as `padding_idx`. @param field what the file calls it
 * @throws EbbError for one that the embedding does not have, which transformers refuses too
 */
export function paddingIndex(where: string, field: string, id: number | null | undefined, vocabSize: number): number | null {
  if (id === null || id === undefined) return null;
  if (id >= vocabSize || id < -vocabSize)
    throw new EbbError(
      `${where}: ${field} is ${id}, and the embedding has rows 0 to ${vocabSize - 1}; give it a token that the model has a row for, or leave it out`,
    );
  return id < 0 ? vocabSize + id : id;
}

/** Checks that hold for every Llama configuration, wherever it was read from. */
export function checkLlama(where: string, config: LlamaConfig): LlamaConfig {
  const { numHeads, numKvHeads, headDim } = config;
  if (numHeads % numKvHeads !== 0) {
    throw new EbbError(`${where}: num_key_value_heads is ${numKvHeads}, expected a divisor of num_attention_heads, which is ${numHeads}`);
  }
  if (headDim % 2 !== 0) throw new EbbError(`${where}: head_dim is ${headDim}, expected an even number (rotary embeddings turn pairs)`);
  return config;
}

function readLlama(where: string, fields: JsonObject): LlamaConfig {
  const raw = readFields(where, llamaFields, fields);
  const headDim = raw.head_dim ?? headWidth(where, 'hidden_size', raw.hidden_size, raw.num_attention_heads);
  return checkLlama(where, {
    kind: 'llama',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.hidden_size,
    intermediateSize: raw.intermediate_size,
    numLayers: raw.num_hidden_layers,
    numHeads: raw.num_attention_heads,
    numKvHeads: raw.num_key_value_heads ?? raw.num_attention_heads,
    headDim,
    rmsNormEps: raw.rms_norm_eps ?? 1e-6,
    ...readRope(where, fields),
    attentionBias: raw.attention_bias ?? false,
    mlpBias: raw.mlp_bias ?? false,
    tieWordEmbeddings: raw.tie_word_embeddings ?? false,
    maxPosition: raw.max_position_embeddings ?? 2048,
    bosTokenId: raw.bos_token_id ?? null,
    eosTokenIds: tokenIds(raw.eos_token_id),
    paddingIndex: paddingIndex(where, 'pad_token_id', raw.pad_token_id, raw.vocab_size),
    hiddenAct: raw.hidden_act ?? 'silu',
  });
}

/** GPT-2's names, and the names other families use for the same (transformers accepts both). */
const GPT2_ALIASES: readonly (readonly [string, string])[] = [
  ['n_embd', 'hidden_size'],
  ['n_layer', 'num_hidden_layers'],
  ['n_head', 'num_attention_heads'],
  ['n_positions', 'max_position_embeddings'],
];

function readGpt2(where: string, fields: JsonObject): Gpt2Config {
  const named: JsonObject = { ...fields };
  for (const [name, alias] of GPT2_ALIASES) {
    const value = named[name] ?? named[alias];
    if (value !== undefined) named[name] = value;
  }
  const raw = readFields(where, gpt2Fields, named);
  const headDim = headWidth(where, 'n_embd', raw.n_embd, raw.n_head);
  return {
    kind: 'gpt2',
    vocabSize: raw.vocab_size,
    hiddenSize: raw.n_embd,
    intermediateSize: raw.n_inner ?? 4 * raw.n_embd,
    numLayers: raw.n_layer,
    numHeads: raw.n_head,
    headDim,
    maxPosition: raw.n_positions,
    layerNormEps: raw.layer_norm_epsilon ?? 1e-5,
    tieWordEmbeddings: raw.tie_word_embeddings ?? true,
    hiddenAct: raw.activation_function ?? 'gelu_new',
    attentionScale: (raw.scale_attn_weights ?? true) ? 1 / Math.sqrt(headDim) : 1,
    bosTokenId: raw.bos_token_id ?? null,
    eosTokenIds: tokenIds(raw.eos_token_id),
  };
}

/** The families Ebb supports, by `model_type`: the names of their classes, and how their fields are read. */
const FAMILIES = {
  llama: { architectures: ['LlamaForCausalLM', 'LlamaModel'], read: readLlama },
  gpt2: { architectures: ['GPT2LMHeadModel', 'GPT2Model'], read: readGpt2 },
} as const;

export type ModelType = keyof typeof FAMILIES;
/** Every `model_type` that Ebb supports. */
export const MODEL_TYPES = Object.keys(FAMILIES) as readonly ModelType[];

const SUPPORTED = MODEL_TYPES.map((type) => `${type} (${FAMILIES[type].architectures[0]})`).join(' or ');

function familyOf(where: string, fields: JsonObject): ModelType {
  const { model_type: type, architectures } = fields;
  const first = Array.isArray(architectures) ? architectures[0] : architectures;
  const named = MODEL_TYPES.find((known) => (FAMILIES[known].architectures as readonly string[]).includes(String(first)));
  const kind = MODEL_TYPES.find((known) => known === (type ?? named));
  if (kind === undefined) {
    if (type === undefined && first === undefined) throw new EbbError(`${where}: model_type is missing, expected ${SUPPORTED}`);
    const both = first === undefined || first === null ? '' : ` (architectures: ${show(first)})`;
    throw new EbbError(`${where}: model_type is ${show(type)}${both}, an architecture Ebb does not support, expected ${SUPPORTED}`);
  }
  if (first !== undefined && first !== null && named !== kind) {
    throw new EbbError(`${where}: architectures is ${show(first)}, expected ${FAMILIES[kind].architectures[0]} for model_type ${kind}`);
  }
  return kind;
}

/**
 * The configuration in the fields of a config.json. `where` (the file) begins every error.
 * Throws on an unknown architecture, activation or rope type, on inconsistent sizes, and on any field that
 * changes the mathematics and is not supported.
 */
export function readHfConfig(where: string, fields: JsonObject): ConfigReading {
  const kind = familyOf(where, fields);
  const notes = refuseUnsupported(where, kind, fields);
  return { config: FAMILIES[kind].read(where, fields), notes };
}

/** The configuration in a config.json's text. */
export function parseHfConfig(where: string, text: string): ConfigReading {
  return readHfConfig(where, parseJsonObject(where, text));
}

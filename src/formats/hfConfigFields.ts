/** @file What becomes of the fields of a config.json that a family does not read: refused by name, or listed as not used. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import type { Json, JsonObject } from './json.ts';

/** Pretrained configurations name dropout for some layers. Ebb trains without it (an adapter has its own), and a note says so. */
const DROPOUT = new Set([
  'attention_dropout',
  'attn_pdrop',
  'embd_pdrop',
  'embedding_dropout',
  'hidden_dropout',
  'mlp_dropout',
  'resid_dropout',
  'resid_pdrop',
  'residual_dropout',
]);

/** Fields that no family reads, since they say nothing about what the model computes. */
const BOOKKEEPING = new Set([
  // who wrote the file, and with what
  '_commit_hash',
  '_name_or_path',
  'architectures',
  'auto_map',
  'model_type',
  'tokenizer_class',
  'transformers.js_config',
  'transformers_version',
  // how the reference runs the model
  '_attn_implementation',
  '_attn_implementation_autoset',
  'attn_implementation',
  'attn_implementation_autoset',
  'chunk_size_feed_forward',
  'gradient_checkpointing',
  'is_decoder',
  'output_attentions',
  'output_hidden_states',
  'return_dict',
  'torchscript',
  'use_bfloat16',
  'use_cache',
  'use_flash_attn',
  // how weights are stored, which the tensors say themselves, and how they were drawn
  'dtype',
  'initializer_range',
  'torch_dtype',
  // older names of what another field says
  'is_llama_config',
  'n_ctx',
  // how text is generated where nobody says otherwise: commands have flags for it
  'begin_suppress_tokens',
  'diversity_penalty',
  'do_sample',
  'early_stopping',
  'encoder_no_repeat_ngram_size',
  'length_penalty',
  'max_length',
  'min_length',
  'no_repeat_ngram_size',
  'num_beam_groups',
  'num_beams',
  'num_return_sequences',
  'output_scores',
  'prefix',
  'remove_invalid_values',
  'repetition_penalty',
  'return_dict_in_generate',
  'temperature',
  'top_k',
  'top_p',
  'typical_p',
  // tokens that a causal language model has no use for; a family that has one reads it
  'cls_token_id',
  'decoder_start_token_id',
  'pad_token_id',
  'sep_token_id',
]);

/** How other programs run or load a model, under names that sound like its mathematics. They change nothing, and are listed as not used. */
const RUNTIME = new Set([
  '_flash_attn_2_enabled',
  '_experts_implementation',
  'attn_impl',
  'experts_implementation',
  'flash_attention',
  'flash_attn',
  'fused_rms_norm',
  'use_flash_attention',
  'use_flash_attention_2',
  'use_flash_rotary',
  'use_fused_cross_entropy',
  'use_fused_rmsnorm',
  'use_fused_rope',
  'use_memory_efficient_attention',
  'use_sdpa',
  'use_sdpa_attention',
  'use_xformers_attention',
]);

/** Fields that every causal language model supports at one value alone. */
const CAUSAL: Readonly<Record<string, Json>> = { add_cross_attention: false, is_causal: true, is_encoder_decoder: false, tie_encoder_decoder: false };

/** Fields of heads that are no part of a language model: summaries of classification heads, labels. */
const OTHER_HEADS = /^(summary_|id2label$|label2id$|num_labels$|task_specific_params$|problem_type$|classifier_dropout$)/;

/** A field of such a name may change what the model computes. */
const SUSPICIOUS =
  /rope|rotary|attn|attention|norm|scal|softcap|bias|window|expert|moe|quant|multiplier|mask|alibi|residual|position|parallel|layer|sparse|clip|logit|mup|head|embedding/;

/** Whether a value switches nothing on. */
function neutral(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === 0;
}

/** Throws the error that a field does not hold what was expected. @throws EbbError */
export function refuseField(where: string, name: string, found: Json | undefined, expected: string): never {
  throw new EbbError(`${where}: ${name} is ${found === undefined ? 'missing' : show(found)}, expected ${expected}`);
}

/** What a family says of the fields of its config.json. */
export interface KnownFields {
  /** What errors call the family. */
  readonly kind: string;
  /** The fields that the family reads. */
  readonly read: ReadonlySet<string>;
  /** Fields that are supported at one value alone; they may also be absent or null. */
  readonly only: Readonly<Record<string, Json>>;
}

/**
 * Goes over the fields that a family does not read. Returns notes on those that are not used, for a person to know.
 * @throws EbbError for a field that may change what the model computes, by its name, and for one at another value than the supported one
 */
export function unusedFields(where: string, { kind, read, only }: KnownFields, fields: JsonObject): string[] {
  const oneValue: Readonly<Record<string, Json | undefined>> = { ...CAUSAL, ...only };
  const dropout: string[] = [];
  const others: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (read.has(name)) continue;
    const supported = Object.hasOwn(oneValue, name) ? oneValue[name] : undefined;
    if (name === 'quantization_config') {
      if (!neutral(value)) refuseField(where, name, value, 'none (weights in f32, f16 or bf16, or a GGUF file)');
    } else if (DROPOUT.has(name)) {
      if (!neutral(value)) dropout.push(`${name} is ${show(value)}: not used, Ebb trains without the pretrained model's dropout`);
    } else if (supported !== undefined) {
      if (value !== null && value !== supported) refuseField(where, name, value, `${show(supported)} (other values are not supported)`);
    } else if (BOOKKEEPING.has(name) || OTHER_HEADS.test(name) || neutral(value)) {
      // says nothing about what the model computes
    } else if (RUNTIME.has(name)) {
      others.push(name);
    } else if (SUSPICIOUS.test(name)) {
      refuseField(where, name, value, `no such field in a ${kind} configuration (it may change what the model computes, and Ebb does not support it)`);
    } else others.push(name);
  }
  return others.length === 0 ? dropout : [...dropout, `not used: ${others.join(', ')}`];
}

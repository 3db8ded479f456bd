/** @file Which config.json fields change the mathematics without Ebb supporting it: refused by name; which are left unused: noted. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import type { ModelType } from './hfConfig.ts';
import type { Json, JsonObject } from './json.ts';

/** Fields that Ebb supports only at one value (or absent, or null). */
const ONLY: Readonly<Record<ModelType, Readonly<Record<string, Json>>>> = {
  llama: {
    pretraining_tp: 1,
    partial_rotary_factor: 1,
    rope_interleaved: false,
    use_sliding_window: false,
    scale_embeddings: false,
    is_encoder_decoder: false,
    add_cross_attention: false,
    tie_encoder_decoder: false,
    is_causal: true,
  },
  gpt2: {
    add_cross_attention: false,
    is_encoder_decoder: false,
    reorder_and_upcast_attn: false,
    scale_attn_by_inverse_layer_idx: false,
    tie_encoder_decoder: false,
    is_causal: true,
  },
};

/** Dropout is part of some pretrained configurations; Ebb trains without it (LoRA has its own). */
const DROPOUT = new Set(['attention_dropout', 'attn_pdrop', 'embd_pdrop', 'resid_pdrop', 'hidden_dropout', 'mlp_dropout', 'resid_dropout']);

/** Fields that are read, or that say nothing about the mathematics although their name sounds so. */
const HARMLESS = new Set([
  'num_attention_heads',
  'num_hidden_layers',
  'num_key_value_heads',
  'rms_norm_eps',
  'attention_bias',
  'mlp_bias',
  'max_position_embeddings',
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
  'head_dim',
  'layer_norm_epsilon',
  'layer_norm_eps',
  'scale_attn_weights',
  'n_layer',
  'n_positions',
  '_attn_implementation',
  '_attn_implementation_autoset',
  'attn_implementation',
  'attn_implementation_autoset',
  'use_flash_attn',
  'output_attentions',
  'quantization_config',
  'layer_types',
  'max_window_layers',
  'sliding_window',
  'is_llama_config',
  'initializer_range',
  'n_ctx',
  'n_head',
  'tie_word_embeddings',
]);

const SUSPICIOUS =
  /rope|rotary|attn|attention|norm|scal|softcap|bias|window|expert|moe|quant|multiplier|mask|alibi|residual|position|parallel|layer|sparse|clip|logit|mup|head|embedding/;

/** Names a head that is no part of a language model (summaries of GPT-2's classification heads, labels). */
const OTHER_HEADS = /^(summary_|id2label$|label2id$|num_labels$|task_specific_params$|problem_type$|classifier_dropout$)/;

function neutral(value: Json | undefined): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === 0;
}

function refuse(where: string, name: string, found: Json | undefined, expected: string): never {
  throw new EbbError(`${where}: ${name} is ${show(found)}, expected ${expected}`);
}

/**
 * Throws for a field that changes the mathematics and is not supported, also for an unknown one whose name suggests that it might;
 * returns notes on fields that are left unused.
 */
export function refuseUnsupported(where: string, kind: ModelType, fields: JsonObject): string[] {
  const notes: string[] = [];
  if (!neutral(fields['quantization_config']))
    refuse(where, 'quantization_config', fields['quantization_config'], 'none (weights in f32, f16 or bf16, or a GGUF file)');
  if (!neutral(fields['sliding_window']) && !neutral(fields['use_sliding_window'] ?? true))
    refuse(where, 'sliding_window', fields['sliding_window'], 'null (attention windows are not supported)');
  const kinds = fields['layer_types'];
  if (Array.isArray(kinds) && kinds.some((k) => k !== 'full_attention'))
    refuse(
      where,
      'layer_types',
      kinds.find((k) => k !== 'full_attention'),
      'full_attention in every layer',
    );
  for (const [name, value] of Object.entries(fields)) {
    if (DROPOUT.has(name)) {
      if (typeof value === 'number' && value !== 0) notes.push(`${name} is ${value}: not used, Ebb trains without the pretrained model's dropout`);
      continue;
    }
    const only = Object.hasOwn(ONLY[kind], name) ? ONLY[kind][name] : undefined;
    if (only !== undefined) {
      if (value !== null && value !== only) refuse(where, name, value, `${show(only)} (other values are not supported)`);
    } else if (!HARMLESS.has(name) && !OTHER_HEADS.test(name) && !neutral(value) && SUSPICIOUS.test(name)) {
      refuse(where, name, value, `no such field in a ${kind} configuration (it may change the mathematics, and Ebb does not support it)`);
    }
  }
  return notes;
}

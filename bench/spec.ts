/** @file The models and products of the benchmark, and the folder of their weights and tokens, which bench/data.py makes. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { at } from '../src/errors.ts';

export interface ModelSpec {
  readonly vocab: number;
  readonly dim: number;
  readonly heads: number;
  readonly layers: number;
  readonly ffn: number;
  readonly batch: number;
  readonly seq: number;
}

export interface BenchSpec {
  readonly seed: number;
  readonly initStd: number;
  readonly models: Readonly<Record<string, ModelSpec>>;
  readonly normEps: number;
  readonly ropeTheta: number;
  readonly adamw: { readonly lr: number; readonly beta1: number; readonly beta2: number; readonly eps: number; readonly weightDecay: number };
  /** PyTorch's losses before the AdamW steps 1 to 4, for machines without PyTorch. */
  readonly losses?: Readonly<Record<string, readonly number[]>>;
  readonly matmuls: readonly (readonly [m: number, n: number, k: number])[];
}

export const SPEC_FILE = fileURLToPath(new URL('spec.json', import.meta.url));
export const SPEC = JSON.parse(readFileSync(SPEC_FILE, 'utf8')) as BenchSpec;
/** The folder that bench/data.py writes to. */
export const DATA = process.env['EBB_BENCH_DATA'] ?? fileURLToPath(new URL('data', import.meta.url));

/** The scale of low-rank adapters before it is divided by their rank (the setting of the DropBP paper). */
export const LORA_ALPHA = 16;

export function modelSpec(name: string): ModelSpec {
  const spec = SPEC.models[name];
  if (!spec) throw new Error(`no model ${name} in ${SPEC_FILE}; there are ${Object.keys(SPEC.models).join(', ')}`);
  return spec;
}

/** PyTorch's losses of the first steps from the weights that bench/data.py makes. Undefined for other weights. */
export function publishedLosses(name: string): readonly number[] | undefined {
  return existsSync(`${DATA}/${name}.weights.bin`) ? SPEC.losses?.[name] : undefined;
}

/** The inputs and next tokens of the fixed batch, [batch, seq] each. */
export function benchTokens(name: string): { readonly tokens: Int32Array; readonly targets: Int32Array } {
  const { batch, seq } = modelSpec(name);
  const bytes = readFileSync(`${DATA}/${name}.tokens.bin`);
  const all = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const cut = (from: number): Int32Array => Int32Array.from({ length: batch * seq }, (_, i) => at(all, Math.floor(i / seq) * (seq + 1) + (i % seq) + from));
  return { tokens: cut(0), targets: cut(1) };
}

/** Writes the config.json of a checkpoint of this size. */
export function configText({ vocab, dim, heads, layers, ffn }: ModelSpec): string {
  return JSON.stringify({
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: dim,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    rms_norm_eps: SPEC.normEps,
    rope_theta: SPEC.ropeTheta,
    max_position_embeddings: 8192,
    tie_word_embeddings: false,
  });
}

/** @file Small checkpoints of any stored types and odd sizes, as safetensors and as GGUF, with the numbers that they hold. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { f32ToBf16, f32ToF16 } from '../../src/formats/floats.ts';
import { BLOCKS, type BlockType, dequantise } from '../../src/formats/ggmlBlocks.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import type { LlamaConfig } from '../../src/models/llama/config.ts';
import { llama } from '../../src/models/llama/llama.ts';
import { initialValues } from '../../src/train/init.ts';
import { ggufBytes, tinyLlamaGguf } from '../formats/ggufWriter.ts';

export interface StoredSizes {
  readonly hiddenSize: number;
  readonly headDim: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly vocabSize: number;
  readonly intermediateSize: number;
}

export function storedConfig(sizes: StoredSizes, change: Partial<LlamaConfig> = {}): LlamaConfig {
  return {
    kind: 'llama',
    numLayers: 1,
    rmsNormEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: null,
    attentionBias: false,
    mlpBias: false,
    tieWordEmbeddings: false,
    maxPosition: 64,
    bosTokenId: null,
    eosTokenIds: [],
    hiddenAct: 'silu',
    ...sizes,
    ...change,
  };
}

/** A tensor as a checkpoint stores it, and the numbers it stands for, in Hugging Face's order of rows. */
interface StoredTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: BlockType;
  readonly bytes: Uint8Array;
}

/** Whether tensors of these rows can be stored in a type. */
const fits = (dtype: BlockType, shape: readonly number[]): boolean => (shape.at(-1) ?? 1) % BLOCKS[dtype].blockSize === 0;

/** Bytes of about normal numbers in any type. Quants of blocks are random, scales are small. */
function encode(dtype: BlockType, shape: readonly number[], name: string): Uint8Array {
  const count = shape.reduce((a, b) => a * b, 1);
  const centre = /norm/.test(name) ? 1 : 0;
  const values = initialValues({ kind: 'normal', std: 0.3 }, count, name, 5).map((x) => x + centre);
  if (dtype === 'f32') return new Uint8Array(values.buffer);
  if (dtype === 'f16') return f32ToF16(values);
  if (dtype === 'bf16') return f32ToBf16(values);
  const { blockSize, bytesPerBlock } = BLOCKS[dtype];
  const blocks = count / blockSize;
  const random = initialValues({ kind: 'uniform', bound: 128 }, blocks * bytesPerBlock, name, 6);
  const bytes = Uint8Array.from(random, (x) => Math.floor(x) & 255);
  const scales = f32ToF16(initialValues({ kind: 'uniform', bound: dtype.endsWith('_k') ? 1e-4 : 0.01 }, blocks * 2, name, 7));
  for (let i = 0; i < blocks; i++)
    for (const [k, at] of BLOCKS[dtype].scales.entries()) bytes.set(scales.subarray(4 * i + 2 * k, 4 * i + 2 * k + 2), i * bytesPerBlock + at);
  return bytes;
}

/** Tensors of a model, each in the first of its types that its rows allow. */
function storedTensors(config: LlamaConfig, typesOf: (name: string) => readonly BlockType[]): StoredTensor[] {
  return [...llama.ofSettings(config).tensors()].map(({ name, shape }) => {
    const dtype = typesOf(name).find((type) => fits(type, shape)) ?? 'f32';
    return { name, shape, dtype, bytes: encode(dtype, shape, name) };
  });
}

const numbers = (tensors: readonly StoredTensor[]): Map<string, Float32Array> =>
  new Map(tensors.map(({ name, dtype, bytes }) => [name, dequantise(dtype, bytes)]));

const SAFETENSORS = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * Writes a Hugging Face folder; types that safetensors lacks become f32. Returns the numbers by name.
 * @param held what to write in f32, instead of numbers of its own
 */
export function writeStoredFolder(
  folder: string,
  config: LlamaConfig,
  typesOf: (name: string) => readonly BlockType[],
  held: ReadonlyMap<string, Float32Array> = new Map(),
): Map<string, Float32Array> {
  const own = storedTensors(config, (name) => typesOf(name).filter((type) => type in SAFETENSORS));
  const tensors = own.map((t): StoredTensor => {
    const values = held.get(t.name);
    return values ? { ...t, dtype: 'f32', bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) } : t;
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(llama.ofSettings(config).configJson()));
  const entries = tensors.map(({ name, shape, dtype, bytes }) => ({ name, shape, dtype: SAFETENSORS[dtype as 'f32'], data: bytes }));
  writeSafetensors(join(folder, 'model.safetensors'), entries);
  return numbers(tensors);
}

const GGUF_TYPE: Readonly<Record<BlockType, number>> = {
  f32: 0,
  f16: 1,
  bf16: 30,
  q8_0: 8,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q5_1: 7,
  iq4_nl: 20,
  q2_k: 10,
  q3_k: 11,
  q4_k: 12,
  q5_k: 13,
  q6_k: 14,
};
const GGUF_PARTS: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
const GGUF_TOP: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

function ggufName(name: string): string {
  const [, layer, part = ''] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name) ?? [];
  return GGUF_TOP[name] ?? `blk.${layer}.${GGUF_PARTS[part]}.weight`;
}

/** Rows of q and k as llama.cpp keeps them: those that rotate together side by side. */
function permuted({ name, shape, bytes }: StoredTensor, { headDim }: LlamaConfig): Uint8Array {
  if (!/\.[qk]_proj\./.test(name)) return bytes;
  const rows = shape[0]!;
  const rowBytes = bytes.length / rows;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const half = within < headDim / 2 ? 0 : 1;
    const to = row - within + 2 * (within % (headDim / 2)) + half;
    out.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}

/** Writes a GGUF file, with a tokenizer of five tokens. Returns the numbers by Hugging Face's names. */
export function writeStoredGguf(path: string, config: LlamaConfig, typesOf: (name: string) => readonly BlockType[]): Map<string, Float32Array> {
  const tensors = storedTensors(config, typesOf);
  mkdirSync(dirname(path), { recursive: true });
  const tokenizer = Object.entries(tinyLlamaGguf().metadata).filter(([key]) => key.startsWith('tokenizer.'));
  const metadata = {
    ...Object.fromEntries(tokenizer),
    'general.architecture': 'llama',
    'llama.block_count': config.numLayers,
    'llama.embedding_length': config.hiddenSize,
    'llama.feed_forward_length': config.intermediateSize,
    'llama.attention.head_count': config.numHeads,
    'llama.attention.head_count_kv': config.numKvHeads,
    'llama.attention.key_length': config.headDim,
    'llama.attention.value_length': config.headDim,
    'llama.rope.dimension_count': config.headDim,
    'llama.attention.layer_norm_rms_epsilon': Math.fround(config.rmsNormEps),
    'llama.context_length': config.maxPosition,
    'llama.rope.freq_base': config.ropeTheta,
    ...(config.ropeScaling?.type === 'linear' ? { 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': config.ropeScaling.factor } : {}),
  };
  const list = tensors.map((t) => ({ name: ggufName(t.name), type: GGUF_TYPE[t.dtype], dims: [...t.shape].reverse(), data: permuted(t, config) }));
  writeFileSync(path, ggufBytes({ metadata, tensors: list }));
  return numbers(tensors);
}

/** @file A llama-architecture GGUF file in Hugging Face's terms: configuration, tensor names, row order of q and k. */

import { EbbError } from '../../errors.ts';
import { type ByteSource, show } from '../../formats/bytes.ts';
import { f32FromBytes } from '../../formats/floats.ts';
import type { Gguf, GgufValue } from '../../formats/gguf.ts';
import { type ConfigReading, checkLlama, type LlamaConfig, paddingIndex, type RopeScaling } from '../../formats/hfConfig.ts';

function integer(gguf: Gguf, key: string, fallback?: number): number {
  const value = gguf.metadata.get(key) ?? fallback;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 && value < 2 ** 31) return value;
  throw new EbbError(`${gguf.file}: ${key} is ${value === undefined ? 'missing' : show(value)}, expected a whole number of at least 1`);
}

function positive(gguf: Gguf, key: string, fallback?: number): number {
  const value = gguf.metadata.get(key) ?? fallback;
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new EbbError(`${gguf.file}: ${key} is ${value === undefined ? 'missing' : show(value)}, expected a positive number`);
}

/** f32 of 1e-5 is 9.99999974e-6: the shortest decimal with the same f32 is what was meant, and computes the same in f32. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

const READ = new Set([
  'block_count',
  'context_length',
  'embedding_length',
  'feed_forward_length',
  'vocab_size',
  'rope.freq_base',
  'rope.dimension_count',
  'rope.scaling.type',
  'rope.scaling.factor',
  'rope.scaling.original_context_length',
  'rope.scaling.finetuned',
  'attention.head_count',
  'attention.head_count_kv',
  'attention.layer_norm_rms_epsilon',
  'attention.key_length',
  'attention.value_length',
  'tensor_data_layout',
]);

type Llama3Scaling = Extract<RopeScaling, { type: 'llama3' }>;

/** The factor of a head's pair `i` that llama.cpp's converter writes for the llama3 rope type (convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors). */
function llama3Factor(i: number, headDim: number, theta: number, s: Llama3Scaling): number {
  const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
  if (wavelength < s.originalMaxPosition / s.highFreqFactor) return 1;
  if (wavelength > s.originalMaxPosition / s.lowFreqFactor) return s.factor;
  const smooth = (s.originalMaxPosition / wavelength - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor);
  return 1 / ((1 - smooth) / s.factor + smooth);
}

/** The factors of all pairs of a head. */
export function llama3Factors(headDim: number, theta: number, scaling: Llama3Scaling): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => llama3Factor(i, headDim, theta, scaling));
}

/** GGUF keeps llama3 scaling only as a tensor of factors: accepted where it is Llama 3.1's or 3.2's own setting. */
function scalingOfFactors(gguf: Gguf, source: ByteSource, headDim: number, theta: number): RopeScaling | null {
  const info = gguf.tensors.get('rope_freqs.weight');
  if (!info) return null;
  if (info.type !== 'F32' || info.byteLength !== 2 * headDim) {
    throw new EbbError(`${gguf.file}: rope_freqs.weight is ${info.type} of ${info.dims.join(' × ')}, expected F32 of ${headDim / 2}`);
  }
  const end = info.byteOffset + info.byteLength;
  if (end > source.size)
    throw new EbbError(
      `${gguf.file}: has ${source.size} bytes, but rope_freqs.weight, which says how rotary embeddings are scaled, ends at byte ${end}; give more of the file`,
    );
  const found = f32FromBytes(source.read(info.byteOffset, info.byteLength).slice());
  if (found.every((x) => x === 1)) return null;
  const factor = shortest(Math.max(...found));
  for (const originalMaxPosition of [8192, 4096, 16384, 32768]) {
    const candidate = { type: 'llama3', factor, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPosition } as const;
    const isFactor = (x: number, i: number): boolean => {
      const expected = llama3Factor(i, headDim, theta, candidate);
      return Math.abs(expected - x) <= 1e-4 * expected;
    };
    if (found.every(isFactor)) return candidate;
  }
  throw new EbbError(`${gguf.file}: rope_freqs.weight holds factors that are no llama3 scaling Ebb knows (low_freq_factor 1, high_freq_factor 4)`);
}

function readScaling(gguf: Gguf, source: ByteSource, headDim: number, theta: number): RopeScaling | null {
  const type = gguf.metadata.get('llama.rope.scaling.type') ?? 'none';
  if (type === 'linear') {
    const factor = positive(gguf, 'llama.rope.scaling.factor');
    return factor === 1 ? null : { type, factor };
  }
  if (type !== 'none') throw new EbbError(`${gguf.file}: llama.rope.scaling.type is ${show(type)}, expected none or linear`);
  return scalingOfFactors(gguf, source, headDim, theta);
}

function neutral(value: GgufValue): boolean {
  return value === 0 || value === false || value === '';
}

function refuseUnknownKeys(gguf: Gguf): void {
  for (const [key, value] of gguf.metadata) {
    if (key.startsWith('llama.') && !READ.has(key.slice(6)) && !neutral(value)) {
      throw new EbbError(`${gguf.file}: ${key} is ${show(value)}, which may change the mathematics and is not supported`);
    }
  }
}

function vocabSize(gguf: Gguf): number {
  const rows = gguf.tensors.get('token_embd.weight')?.dims[1];
  const tokens = gguf.metadata.get('tokenizer.ggml.tokens');
  return integer(gguf, 'llama.vocab_size', rows ?? (Array.isArray(tokens) ? tokens.length : undefined));
}

/** Every `general.architecture` that Ebb supports. */
export const GGUF_ARCHITECTURES = ['llama'] as const;

/** The configuration in a GGUF file's `llama.*` keys. */
export function readGgufConfig(gguf: Gguf, source: ByteSource): ConfigReading {
  const architecture = gguf.metadata.get('general.architecture');
  if (!GGUF_ARCHITECTURES.some((known) => known === architecture)) {
    throw new EbbError(
      `${gguf.file}: general.architecture is ${architecture === undefined ? 'missing' : show(architecture)}, expected ${GGUF_ARCHITECTURES.join(' or ')} (other architectures are not supported in GGUF)`,
    );
  }
  refuseUnknownKeys(gguf);
  const hiddenSize = integer(gguf, 'llama.embedding_length');
  const numHeads = integer(gguf, 'llama.attention.head_count');
  const keyLength = gguf.metadata.get('llama.attention.key_length');
  if (keyLength === undefined && hiddenSize % numHeads !== 0) {
    throw new EbbError(`${gguf.file}: llama.embedding_length is ${hiddenSize}, expected a multiple of llama.attention.head_count, which is ${numHeads}`);
  }
  const headDim = integer(gguf, 'llama.attention.key_length', hiddenSize / numHeads);
  for (const key of ['llama.attention.value_length', 'llama.rope.dimension_count']) {
    if (integer(gguf, key, headDim) !== headDim)
      throw new EbbError(`${gguf.file}: ${key} is ${show(gguf.metadata.get(key))}, expected the head width, ${headDim}`);
  }
  const ropeTheta = shortest(positive(gguf, 'llama.rope.freq_base', 10000));
  const id = (key: string): number | null => {
    const value = gguf.metadata.get(`tokenizer.ggml.${key}_token_id`);
    return typeof value === 'number' ? value : null;
  };
  const ends = [id('eos'), id('eot')].filter((x) => x !== null);
  const rows = vocabSize(gguf);
  const config: LlamaConfig = {
    kind: 'llama',
    vocabSize: rows,
    hiddenSize,
    intermediateSize: integer(gguf, 'llama.feed_forward_length'),
    numLayers: integer(gguf, 'llama.block_count'),
    numHeads,
    numKvHeads: integer(gguf, 'llama.attention.head_count_kv', numHeads),
    headDim,
    rmsNormEps: shortest(positive(gguf, 'llama.attention.layer_norm_rms_epsilon')),
    ropeTheta,
    ropeScaling: readScaling(gguf, source, headDim, ropeTheta),
    attentionBias: gguf.tensors.has('blk.0.attn_q.bias'),
    mlpBias: gguf.tensors.has('blk.0.ffn_gate.bias'),
    tieWordEmbeddings: !gguf.tensors.has('output.weight'),
    maxPosition: integer(gguf, 'llama.context_length', 2048),
    bosTokenId: id('bos'),
    eosTokenIds: [...new Set(ends)],
    paddingIndex: paddingIndex(gguf.file, 'tokenizer.ggml.padding_token_id', id('padding'), rows),
    hiddenAct: 'silu',
  };
  return { config: checkLlama(gguf.file, config), notes: [] };
}

const PARTS: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

const TOP: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};

/** The Hugging Face name of a GGUF tensor; none for tensors that hold no weights (rope_freqs). Throws for an unknown one. */
export function hfName(file: string, name: string): string | undefined {
  if (name === 'rope_freqs.weight' || /^blk\.\d+\.attn_rot_embd$/.test(name)) return undefined;
  const top = TOP[name];
  if (top) return top;
  const [, layer, part, suffix] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const hf = part === undefined ? undefined : PARTS[part];
  if (hf === undefined) throw new EbbError(`${file}: tensor ${show(name)} is no part of a llama model Ebb supports`);
  return `model.layers.${layer}.${hf}.${suffix}`;
}

/** Heads whose rows a GGUF tensor holds with rotary pairs side by side, where Hugging Face has them half a head apart; 0: none. */
export function permutedHeads(config: LlamaConfig, hf: string): number {
  if (/\.q_proj\.(weight|bias)$/.test(hf)) return config.numHeads;
  return /\.k_proj\.(weight|bias)$/.test(hf) ? config.numKvHeads : 0;
}

/** Rows in Hugging Face's order: row (head, half, pair) comes from row (head, pair, half). Rows are whole blocks, so any type works. */
export function unpermuteRows(bytes: Uint8Array, rows: number, heads: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const width = rows / heads;
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const [head, within] = [Math.floor(row / width), row % width];
    const [half, pair] = [Math.floor(within / (width / 2)), within % (width / 2)];
    const from = (head * width + 2 * pair + half) * rowBytes;
    result.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
  }
  return result;
}

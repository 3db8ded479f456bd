/** @file A GGUF writer for tests. */

export interface GgufInput {
  readonly version?: number;
  readonly metadata: Record<string, unknown> | readonly (readonly [string, unknown])[];
  readonly tensors: readonly { name: string; type: number; dims: readonly number[]; data: Uint8Array; offset?: bigint }[];
}

function number(size: number, write: (view: DataView) => void): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  write(view);
  return new Uint8Array(view.buffer);
}
const u32 = (x: number): Uint8Array => number(4, (v) => v.setUint32(0, x, true));
const u64 = (x: bigint | number): Uint8Array => number(8, (v) => v.setBigUint64(0, BigInt(x), true));

function text(value: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(value);
  return [u64(bytes.length), bytes];
}

/** Type number and bytes of a value: whole numbers as i32, others as f32. */
function encode(value: unknown): readonly [number, Uint8Array[]] {
  if (typeof value === 'boolean') return [7, [Uint8Array.of(value ? 1 : 0)]];
  if (typeof value === 'string') return [8, text(value)];
  if (typeof value === 'bigint') return [10, [u64(value)]];
  if (Array.isArray(value)) {
    const float = value.some((x) => typeof x === 'number' && !Number.isInteger(x));
    const items = value.map((x) => (float ? floating(x) : encode(x)));
    return [9, [u32(items[0]?.[0] ?? 8), u64(items.length), ...items.flatMap(([, bytes]) => bytes)]];
  }
  return Number.isInteger(value) ? [5, [number(4, (v) => v.setInt32(0, value as number, true))]] : floating(value);
}

function floating(value: unknown): readonly [number, Uint8Array[]] {
  return [6, [number(4, (v) => v.setFloat32(0, value as number, true))]];
}

export function ggufBytes({ version = 3, metadata, tensors }: GgufInput): Uint8Array {
  const pairs = Array.isArray(metadata) ? metadata : Object.entries(metadata);
  const parts: Uint8Array[] = [new TextEncoder().encode('GGUF'), u32(version), u64(tensors.length), u64(pairs.length)];
  for (const [key, value] of pairs) {
    const [type, bytes] = encode(value);
    parts.push(...text(key), u32(type), ...bytes);
  }
  let at = 0;
  for (const { name, type, dims, data, offset } of tensors) {
    parts.push(...text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset ?? at));
    at += Math.ceil(data.length / 32) * 32;
  }
  const pad = (): void => {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    parts.push(new Uint8Array((32 - (length % 32)) % 32));
  };
  for (const { data } of tensors) {
    pad();
    parts.push(data);
  }
  if (tensors.length > 0) pad();
  return Uint8Array.from(Buffer.concat(parts));
}

/** A one-layer llama with five tokens. */
export function tinyLlamaGguf(): GgufInput {
  const tensor = (name: string, ...dims: number[]) => ({ name, type: 0, dims, data: new Uint8Array(4 * dims.reduce((a, b) => a * b, 1)) });
  return {
    metadata: {
      'general.architecture': 'llama',
      'llama.block_count': 1,
      'llama.embedding_length': 8,
      'llama.feed_forward_length': 16,
      'llama.attention.head_count': 2,
      'llama.attention.head_count_kv': 1,
      'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
      'llama.context_length': 64,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': ['<s>', '</s>', 'a', 'b', 'ab'],
      'tokenizer.ggml.token_type': [3, 3, 1, 1, 1],
      'tokenizer.ggml.merges': ['a b'],
      'tokenizer.ggml.bos_token_id': 0,
      'tokenizer.ggml.eos_token_id': 1,
    },
    tensors: [
      tensor('token_embd.weight', 8, 5),
      tensor('output_norm.weight', 8),
      tensor('blk.0.attn_norm.weight', 8),
      tensor('blk.0.ffn_norm.weight', 8),
      tensor('blk.0.attn_q.weight', 8, 8),
      tensor('blk.0.attn_k.weight', 8, 4),
      tensor('blk.0.attn_v.weight', 8, 4),
      tensor('blk.0.attn_output.weight', 8, 8),
      tensor('blk.0.ffn_gate.weight', 8, 16),
      tensor('blk.0.ffn_up.weight', 8, 16),
      tensor('blk.0.ffn_down.weight', 16, 8),
    ],
  };
}

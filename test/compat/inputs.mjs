/**
 * Writes what the samples are made of, the same bytes everywhere: a tiny model with its tokenizer, ready batches, and text.
 *
 *   node test/compat/inputs.mjs FOLDER
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [folder] = process.argv.slice(2);

function write(path, content) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' || content instanceof Uint8Array ? content : `${JSON.stringify(content, null, 1)}\n`);
}

/** Numbers from -1 to 1, by a linear congruential generator. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** A safetensors file of tensors `{ name: { dtype, shape, data } }`. */
function safetensors(tensors) {
  let at = 0;
  const header = {};
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    at += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, ...Object.values(tensors).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))]);
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz .,?'.split('');
const vocab = Object.fromEntries(['<s>', '</s>', ...LETTERS].map((token, id) => [token, id]));
const size = { vocab: Object.keys(vocab).length, hidden: 12, inner: 20, layers: 2, heads: 2, kv: 1, positions: 32 };
const head = size.hidden / size.heads;

const weight = random(1);
const matrix = (...shape) => ({ dtype: 'F32', shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => 0.4 * weight()) });
const ones = (n) => ({ dtype: 'F32', shape: [n], data: new Float32Array(n).fill(1) });
const layers = Array.from({ length: size.layers }, (_, i) =>
  Object.entries({
    'input_layernorm.weight': ones(size.hidden),
    'self_attn.q_proj.weight': matrix(size.hidden, size.hidden),
    'self_attn.k_proj.weight': matrix(size.kv * head, size.hidden),
    'self_attn.v_proj.weight': matrix(size.kv * head, size.hidden),
    'self_attn.o_proj.weight': matrix(size.hidden, size.hidden),
    'post_attention_layernorm.weight': ones(size.hidden),
    'mlp.gate_proj.weight': matrix(size.inner, size.hidden),
    'mlp.up_proj.weight': matrix(size.inner, size.hidden),
    'mlp.down_proj.weight': matrix(size.hidden, size.inner),
  }).map(([name, tensor]) => [`model.layers.${i}.${name}`, tensor]),
).flat();
write(
  'model/model.safetensors',
  safetensors({ 'model.embed_tokens.weight': matrix(size.vocab, size.hidden), ...Object.fromEntries(layers), 'model.norm.weight': ones(size.hidden) }),
);
write('model/config.json', {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: size.vocab,
  hidden_size: size.hidden,
  intermediate_size: size.inner,
  num_hidden_layers: size.layers,
  num_attention_heads: size.heads,
  num_key_value_heads: size.kv,
  max_position_embeddings: size.positions,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 1,
});
const special = ['<s>', '</s>'].map((content, id) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
}));
write('model/tokenizer.json', { version: '1.0', added_tokens: special, decoder: { type: 'Fuse' }, model: { type: 'BPE', vocab, merges: [] } });
write('model/tokenizer_config.json', { bos_token: '<s>', eos_token: '</s>' });

const token = random(2);
const ids = (...shape) => ({
  dtype: 'I64',
  shape,
  data: BigInt64Array.from({ length: shape.reduce((a, b) => a * b) }, () => BigInt(Math.floor(((token() + 1) / 2) * size.vocab))),
});
for (const [name, steps] of Object.entries({ batches: 12, 'held-out': 2 })) {
  const input_ids = ids(steps, 2, 9);
  const labels = { ...input_ids, data: input_ids.data.map((id, i) => (i % 9 < 2 ? -100n : id)) };
  write(`data/${name}.safetensors`, safetensors({ input_ids, labels }));
}
write('data/probe.safetensors', safetensors({ input_ids: ids(2, 7) }));
const sentences = ['the cat sat on the mat.', 'a dog ran after the cat, and lost it.', 'who has seen the moon?', 'it was a cold day, and the sun was low.'];
write('data/text.jsonl', sentences.map((text) => `${JSON.stringify({ text })}\n`).join(''));
const questions = [
  ['where is the cat?', ' on the mat.'],
  ['what did the dog do?', ' it ran.'],
  ['was it warm?', ' no, cold.'],
];
write('data/questions.jsonl', questions.map(([prompt, completion]) => `${JSON.stringify({ prompt, completion })}\n`).join(''));

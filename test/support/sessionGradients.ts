/** @file Gradients and weights of a small model of any family, over batches that a test makes. */

import { parseHfConfig } from '../../src/models/checkpoint.ts';
import { trainingMode } from '../../src/models/inputs.ts';
import type { Engine } from '../../src/runtime/execute.ts';
import { openSession } from '../../src/session/session.ts';
import type { Sequence } from '../../src/train/batches.ts';
import type { TestDevice } from './testDevice.ts';

export const VOCAB = 41;
const SIZES = { vocab_size: VOCAB, hidden_size: 16, intermediate_size: 20, num_hidden_layers: 2, num_attention_heads: 4, max_position_embeddings: 64 };

/** A small model of every family that Ebb reads, by its `model_type`: the fields of its config.json. */
export const SMALL_MODELS: Readonly<Record<string, object>> = {
  llama: { ...SIZES, num_key_value_heads: 2, tie_word_embeddings: true },
  mistral: { ...SIZES, num_key_value_heads: 2, head_dim: 6, sliding_window: 5 },
  gpt2: { vocab_size: VOCAB, n_embd: 16, n_layer: 2, n_head: 2, n_positions: 64 },
};

/** Sequences of these lengths, whose first tokens are not learnt. */
export const sequencesOf = (lengths: readonly number[], unlearnt = 2): Sequence[] =>
  lengths.map((length, s) => {
    const tokens = Int32Array.from({ length }, (_, i) => (7 * s + 11 * i + i * i) % VOCAB);
    return { tokens, labels: tokens.map((t, i) => (i < unlearnt ? -100 : t)) };
  });

export async function openSmall(kind: string, opened: TestDevice, positions: boolean, micros = 1): Promise<Engine> {
  const fields = SMALL_MODELS[kind];
  if (!fields) throw new Error(`SMALL_MODELS has no ${kind}; give it the fields of a small one`);
  const reading = parseHfConfig('config.json', JSON.stringify({ model_type: kind, ...fields }));
  const session = await openSession(reading, opened, {
    mode: trainingMode(64, { positions: positions && reading.model.learntPositions }),
    dims: { B: 8, T: 64 },
    lora: null,
    trains: 'full',
    micros,
    optimizer: 'sgd',
    decay: 'matrices',
    seed: 5,
    probes: 'norms',
  });
  return session.engine;
}

/** Every gradient, or every weight, of what is trained, by name. */
export async function trained(engine: Engine, kind: 'gradients' | 'params'): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [i, p] of engine.program.params.entries()) if (p.trainable) found.set(p.name, await engine.readParam(i, kind));
  return found;
}

/** The farthest that an element is off. */
export function farthest(found: ReadonlyMap<string, Float32Array>, wanted: ReadonlyMap<string, Float32Array>): number {
  expect([...found.keys()]).toEqual([...wanted.keys()]);
  let most = 0;
  for (const [name, values] of wanted) values.forEach((v, i) => void (most = Math.max(most, Math.abs(v - found.get(name)![i]!))));
  return most;
}

/**
 * Measures training on short conversations: a sequence a row, sequences of like length together, and packed rows, in turns of one run.
 *
 *   npx tsx bench/packing.ts [device]
 *
 * It prints the tokens a second of each way (padding left out), the least time of each batch over the rounds, and how much of its rows is padding.
 */

import {
  type Batch,
  type BatchSource,
  type Engine,
  newState,
  openDevice,
  openSession,
  parseConfig,
  parseHfConfig,
  type SessionOptions,
  sequenceBatches,
  train,
  trainingMode,
} from '../src/index.ts';
import { minimum } from './stats.ts';

const [VOCAB, LENGTH, ROWS, CHATS, ROUNDS] = [1024, 256, 8, 96, 2] as const;
const MODEL = { model_type: 'llama', vocab_size: VOCAB, hidden_size: 128, intermediate_size: 256, num_hidden_layers: 4, num_attention_heads: 4 };

/** Tokens of the conversations: most are short, a few as long as a row, as people's are. */
const lengths = Array.from({ length: CHATS }, (_, i) => {
  const share = ((i * 0.6180339887) % 1) ** 3;
  return 12 + Math.floor(share * (LENGTH - 12));
});
const chats = lengths.map((length, c) => {
  const tokens = Int32Array.from({ length }, (_, i) => (c * 31 + i * i * 7 + i) % VOCAB);
  return { tokens, labels: tokens };
});

const common = { batch: ROWS, seed: 1, shuffle: true, vocabSize: VOCAB, padId: 0 };
const ways: Readonly<Record<string, BatchSource>> = {
  'a sequence a row': sequenceBatches(chats, common),
  'buckets by length': sequenceBatches(chats, { ...common, bucket: true }),
  packed: sequenceBatches(chats, { ...common, pack: LENGTH }),
};

const opened = await openDevice({ device: process.argv[2] ?? 'auto' });
const options: SessionOptions = {
  mode: trainingMode(LENGTH),
  dims: { B: ROWS, T: LENGTH },
  lora: null,
  trains: 'full',
  micros: 1,
  optimizer: 'adamw',
  decay: 'all',
  seed: 1,
};
const { engine } = await openSession(parseHfConfig('config.json', JSON.stringify(MODEL)), { device: opened.device }, options);

/** Milliseconds of each batch of an epoch, one after the other. */
async function epoch(on: Engine, batches: BatchSource): Promise<number[]> {
  const ms: number[] = [];
  const config = { ...parseConfig({ model: 'm', data: 'd', lossOver: 'tokens' }, 'bench'), steps: batches.count };
  await train({ engine: on, batches, config, state: newState(on), ahead: 0, onStep: (step) => void ms.push(step.ms) });
  return ms;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const times = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[][]]));
// a first epoch of each compiles pipelines and fills caches
for (let round = -1; round < ROUNDS; round++)
  for (const [name, batches] of Object.entries(ways)) {
    const ms = await epoch(engine, batches);
    if (round >= 0) times[name]?.push(ms);
  }

console.log(
  `${opened.device.profile.name}: ${CHATS} conversations of ${minimum(lengths)} to ${Math.max(...lengths)} tokens, ${sum(lengths)} in all; rows of up to ${LENGTH}, ${ROWS} a batch`,
);
const least = (name: string): number => sum((times[name]?.[0] ?? []).map((_, k) => minimum((times[name] ?? []).map((round) => round[k] ?? Number.NaN))));
const plain = least('a sequence a row');
for (const [name, batches] of Object.entries(ways)) {
  const own: Batch[] = Array.from({ length: batches.count }, (_, k) => batches.at(k));
  const places = sum(own.map(({ sizes }) => (sizes['B'] ?? 0) * (sizes['T'] ?? 0)));
  const ms = least(name);
  const padding = (100 * (1 - sum(lengths) / places)).toFixed(0);
  console.log(`${name}: ${((1000 * sum(lengths)) / ms).toFixed(0)} tokens/s, ${(plain / ms).toFixed(2)} times; ${batches.count} batches, ${padding} % padding`);
}
engine.destroy();
opened.close();

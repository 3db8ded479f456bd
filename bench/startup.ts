/**
 * What a model takes from its definition to a program, driver time apart: 2 layers against 24, interleaved, minima of wall time.
 *
 *   npx tsx bench/startup.ts
 *
 * Prints milliseconds of tracing and compiling, the ratio, and fails above 2 s or 1.2 times.
 */

import { type CompileOptions, compileModel } from '../src/compile/compile.ts';
import { parseHfConfig } from '../src/models/checkpoint.ts';
import { trainingMode } from '../src/models/inputs.ts';
import { traceCheckpoint } from '../src/session.ts';

const ROUNDS = 40;
const device: CompileOptions['device'] = {
  traits: { kind: 'lavapipe', subgroups: true, subgroupSize: 8, maxInvocations: 1024, maxWorkgroupStorage: 32768 },
  maxBuffers: 8,
};

function compile(layers: number): number {
  const { model } = parseHfConfig(
    'config.json',
    JSON.stringify({
      model_type: 'llama',
      vocab_size: 32000,
      hidden_size: 1024,
      intermediate_size: 2816,
      num_hidden_layers: layers,
      num_attention_heads: 16,
      num_key_value_heads: 4,
      max_position_embeddings: 2048,
    }),
  );
  const start = performance.now();
  const dims = { B: 4, T: 1024 };
  const traced = traceCheckpoint({ model, tensors: new Map() }, { mode: trainingMode(dims.T), dims, lora: null, trains: 'full' });
  compileModel(traced, { device });
  return performance.now() - start;
}

const first = compile(24);
const times = new Map<number, number>([2, 24].map((layers) => [layers, Number.POSITIVE_INFINITY]));
for (let round = 0; round < ROUNDS; round++) for (const [layers, best] of times) times.set(layers, Math.min(best, compile(layers)));
const [small = 0, large = 0] = [...times.values()];
const ratio = large / small;
console.log(`24 layers, first time in the process: ${first.toFixed(0)} ms`);
console.log(`2 layers: ${small.toFixed(0)} ms, 24 layers: ${large.toFixed(0)} ms, ratio ${ratio.toFixed(2)} (minima of ${ROUNDS})`);
if (first > 2000 || ratio > 1.2) {
  console.error('slower than 2 s, or more than 1.2 times the time of 2 layers');
  process.exitCode = 1;
}

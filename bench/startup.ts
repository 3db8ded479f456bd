/**
 * Compares the time from a model's definition to its program, without the driver, of 2 and of 24 layers. They take turns, and the minimum of
 * the wall times counts.
 *
 *   npx tsx bench/startup.ts
 *
 * It prints the milliseconds of tracing and compiling and their ratio. It fails when the first time takes more than 2 s, or when 24 layers
 * take more than 1.2 times as long as 2.
 */

import { type CompileOptions, compileModel, parseHfConfig, traceCheckpoint, trainingMode } from '../src/index.ts';

const ROUNDS = 40;
const device: CompileOptions['device'] = {
  traits: { kind: 'lavapipe', subgroups: true, subgroupSize: 8, maxInvocations: 1024, maxWorkgroupStorage: 32768 },
  maxBuffers: 8,
};

/** Traces and compiles a model of that many layers. Returns the milliseconds it took. */
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
let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
for (let round = 0; round < ROUNDS; round++) [small, large] = [Math.min(small, compile(2)), Math.min(large, compile(24))];
const ratio = large / small;
console.log(`24 layers, first time in the process: ${first.toFixed(0)} ms`);
console.log(`2 layers: ${small.toFixed(0)} ms, 24 layers: ${large.toFixed(0)} ms, ratio ${ratio.toFixed(2)} (minima of ${ROUNDS})`);
if (first > 2000 || ratio > 1.2) {
  console.error('the first time took more than 2 s, or 24 layers took more than 1.2 times as long as 2');
  process.exitCode = 1;
}

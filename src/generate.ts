/** @file Text generation: prompts go through a prefill program in chunks, each new token through a decode program, over one key-value cache. */

import { type Compiled, compileModel } from './compile/compile.ts';

import { widenOnceFor } from './compile/functions.ts';
import { uniform } from './dropbp/random.ts';
import { EbbError } from './errors.ts';
import type { Checkpoint } from './models/checkpoint.ts';
import { generationMode } from './models/inputs.ts';
import { loadParams, startsOf } from './run/engine.ts';
import { checkpointWeights } from './run/weights.ts';
import { createEngine, type Engine } from './runtime/execute.ts';
import { neutralScalar } from './runtime/scalars.ts';
import { aboutModel, compileDeviceOf, type LoraOptions, type SessionDevice, traceCheckpoint, trainableModel } from './session.ts';

/** How tokens are chosen, and when generation ends. */
export interface GenerateOptions {
  readonly maxNewTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  /** Keep the k likeliest tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the likeliest tokens whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number;
  readonly seed: number;
  /** Generation ends with any of these. */
  readonly stopIds: readonly number[];
}

/** A model with its key-value cache on a device, one prompt at a time. */
export interface Generator {
  /** Yields token ids as they are chosen. @throws EbbError when prompt and answer exceed the cache */
  generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number>;
  /** Logits [vocabSize] after the last token of `prompt`. */
  logits(prompt: readonly number[]): Promise<Float32Array>;
  close(): void;
}

export interface GeneratorOptions {
  /** Tokens the cache holds. */
  readonly capacity: number;
  readonly lora: LoraOptions | null;
}

/** Tokens of a prompt that go through the model at once. */
const CHUNK = 64;

/**
 * Compiles a checkpoint for generation and loads it on a device.
 * @throws EbbError when an adapter does not fit the model, and where the device cannot hold it
 */
export async function createGenerator(checkpoint: Checkpoint, { device }: SessionDevice, options: GeneratorOptions): Promise<Generator> {
  const { capacity, lora } = options;
  const generation = compileDeviceOf({ device });
  const build = (tokens: number) => {
    const traced = traceCheckpoint(checkpoint, { mode: generationMode(capacity), dims: { T: tokens }, lora, trains: 'nothing' });
    const widenOnce = tokens > 1 ? widenOnceFor(generation.traits) : 0;
    return { traced, compiled: compileModel(traced, { device: { ...generation, widenOnce } }) satisfies Compiled };
  };
  const [first, next] = [build(CHUNK), build(1)];
  const engineOptions = { micros: 1, decays: () => false, optimizer: 'none' as const };
  const prefill = await createEngine(device, first.compiled.program, engineOptions);
  const decode = await createEngine(device, next.compiled.program, { ...engineOptions, share: prefill });
  const model = trainableModel(first.traced, first.compiled, aboutModel(checkpoint.path, checkpoint.model, first.traced, lora));
  await loadParams(prefill, startsOf(model, checkpointWeights(checkpoint, lora?.existing?.weights ?? null)), 0);

  const keySegments = new Int32Array(capacity).fill(1);
  const run = async (engine: Engine, tokens: Int32Array, position: number): Promise<Float32Array> => {
    const [logits] = await engine.forward({
      sizes: { T: tokens.length },
      inputs: { tokens, segments: new Int32Array(tokens.length).fill(1), key_segments: keySegments, last: Int32Array.of(tokens.length - 1) },
      scalar: (name) => (name === 'position' ? position : neutralScalar(name)),
    });
    if (!logits) throw new Error('internal: the generation program returned nothing');
    return logits;
  };
  const feed = async (prompt: readonly number[]): Promise<Float32Array> => {
    if (prompt.length === 0) throw new EbbError('the prompt is empty; give at least one token');
    let logits = new Float32Array(0);
    for (let from = 0; from < prompt.length; from += CHUNK)
      logits = new Float32Array(await run(prefill, Int32Array.from(prompt.slice(from, from + CHUNK)), from));
    return logits;
  };

  return {
    logits: feed,
    async *generate(prompt, settings) {
      if (prompt.length + settings.maxNewTokens > capacity)
        throw new EbbError(
          `the prompt has ${prompt.length} tokens and ${settings.maxNewTokens} are to follow, the cache holds ${capacity}; shorten the prompt or ask for fewer tokens`,
        );
      let logits = await feed(prompt);
      for (let i = 0; i < settings.maxNewTokens; i++) {
        const token = chooseToken(logits, settings, i);
        yield token;
        if (settings.stopIds.includes(token) || i + 1 === settings.maxNewTokens) return;
        logits = new Float32Array(await run(decode, Int32Array.of(token), prompt.length + i));
      }
    },
    close() {
      decode.destroy();
      prefill.destroy();
    },
  };
}

/** The likeliest token, or one drawn after temperature, top-k and top-p (Holtzman et al. 2020). */
export function chooseToken(
  logits: Float32Array,
  { temperature, topK, topP, seed }: Pick<GenerateOptions, 'temperature' | 'topK' | 'topP' | 'seed'>,
  index: number,
): number {
  if (temperature <= 0) return logits.reduce((best, value, i) => (value > (logits[best] ?? Number.NEGATIVE_INFINITY) ? i : best), 0);
  const order = Array.from(logits, (value, id) => ({ value, id }))
    .sort((a, b) => b.value - a.value)
    .slice(0, topK > 0 ? topK : logits.length);
  const top = order[0]?.value ?? 0;
  const weights = order.map(({ value }) => Math.exp((value - top) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = 0;
  let mass = 0;
  while (kept < weights.length && mass < topP * total) mass += weights[kept++] ?? 0;
  let draw = uniform(seed, 5, index) * mass;
  for (let i = 0; i < kept; i++) {
    draw -= weights[i] ?? 0;
    if (draw < 0) return order[i]?.id ?? 0;
  }
  return order[0]?.id ?? 0;
}

/**
 * @file Text generation: a prompt goes through a prefill program in chunks, then each new token goes through a decode program. Both programs
 * share one key-value cache and one copy of the weights.
 */

import { compileModel } from '../compile/compile.ts';
import { uniform } from '../dropbp/random.ts';
import { at, EbbError, invariant } from '../errors.ts';
import type { Checkpoint } from '../models/checkpoint.ts';
import { generationMode } from '../models/inputs.ts';
import { loadParams, startsOf } from '../run/engine.ts';
import { during, pieces, type Watch } from '../run/progress.ts';
import { checkpointWeights } from '../run/weights.ts';
import type { Device } from '../runtime/device.ts';
import { createEngine, type Engine } from '../runtime/execute.ts';
import { notFinite } from '../runtime/inputs.ts';
import { neutralScalar } from '../runtime/scalars.ts';
import { blameText } from '../train/blame.ts';
import { aboutModel, type LoraOptions, traceCheckpoint, trainableModel } from './session.ts';
import { compileDeviceOf, type SessionDevice } from './sessionDevice.ts';

/** How tokens are chosen, and when generation ends. */
export interface GenerateOptions {
  /** Generation ends after this many tokens. */
  readonly maxNewTokens: number;
  /** The logits are divided by this number. 0 always takes the likeliest token. */
  readonly temperature: number;
  /** Only the `topK` likeliest tokens can be drawn. 0 keeps all tokens. */
  readonly topK: number;
  /** Only the likeliest tokens whose probabilities reach this sum can be drawn. 1 keeps all tokens. */
  readonly topP: number;
  readonly seed: number;
  /** Generation ends after any of these tokens. */
  readonly stopIds: readonly number[];
}

/** A model on a device, with a key-value cache that holds one sequence at a time. */
export interface Generator {
  /** Yields token ids as they are chosen. @throws EbbError for an empty prompt, and when prompt and answer together exceed the cache */
  generate(prompt: readonly number[], options: GenerateOptions): AsyncGenerator<number>;
  /** Returns the logits [vocabSize] after the last token of `prompt`. @throws EbbError for an empty prompt */
  logits(prompt: readonly number[]): Promise<Float32Array>;
  /** Frees the device memory of the programs and the cache. */
  close(): void;
}

export interface GeneratorOptions {
  /** Number of tokens that the cache holds. */
  readonly capacity: number;
  readonly lora: LoraOptions | null;
  /** Is told how many kernels are compiled and weights are loaded. */
  readonly onProgress?: Watch['onProgress'];
}

/** Number of tokens of a prompt that go through the model at once. */
const CHUNK = 64;

/** First counter of the random numbers that tokens are drawn by; other users of the same seed have other counters. */
const TOKEN_DRAWS = 5;

/** Compiles the program that takes `tokens` tokens of a sequence at once. */
function compileGeneration(checkpoint: Checkpoint, device: Device, { capacity, lora }: GeneratorOptions, tokens: number) {
  const traced = traceCheckpoint(checkpoint, { mode: generationMode(capacity), dims: { T: tokens }, lora, trains: 'nothing' });
  const compileDevice = compileDeviceOf({ device });
  // a single token reads each weight once, so nothing is gained by widening weights beforehand
  const compiled = compileModel(traced, { device: tokens > 1 ? compileDevice : { ...compileDevice, widenOnce: 0 } });
  return { traced, compiled };
}

/**
 * Runs a generation program over `tokens`, the first of which stands at `position`. Returns the logits [vocabSize] after the last of them.
 * @throws EbbError for logits that are NaN or infinite, with the first function whose output is not finite
 */
async function nextLogits(engine: Engine, tokens: Int32Array, position: number, capacity: number): Promise<Float32Array<ArrayBuffer>> {
  const given = {
    sizes: { T: tokens.length },
    inputs: {
      tokens,
      segments: new Int32Array(tokens.length).fill(1),
      key_segments: new Int32Array(capacity).fill(1),
      last: Int32Array.of(tokens.length - 1),
    },
    scalar: (name: string) => (name === 'position' ? position : neutralScalar(name)),
  };
  const [logits] = await engine.forward(given);
  invariant(logits, 'the generation program returned nothing');
  const broken = notFinite(logits);
  if (broken >= 0) {
    const where = await blameText(engine, [{ ...given, pattern: new Map(), forwardOnly: true }]);
    const count = position + tokens.length;
    throw new EbbError(
      `after ${count} ${count === 1 ? 'token' : 'tokens'} the logit of token ${broken} is ${logits[broken]}, so no token can be chosen${where}; look at how large the weights are`,
      'numbers',
    );
  }
  return new Float32Array(logits);
}

/**
 * Compiles a checkpoint for generation and loads it on a device.
 * @throws EbbError when an adapter does not fit the model, and where the device cannot hold it
 */
export async function createGenerator(checkpoint: Checkpoint, { device }: SessionDevice, options: GeneratorOptions): Promise<Generator> {
  const { capacity, lora, onProgress } = options;
  const compile = (tokens: number) => during(options, 'compiling the model', () => compileGeneration(checkpoint, device, options, tokens));
  const [first, next] = [await compile(CHUNK), await compile(1)];
  const engineOptions = { micros: 1, decays: () => false, optimizer: 'none' as const, onPipeline: pieces({ onProgress }, 'compiling kernels') };
  const prefill = await createEngine(device, first.compiled.program, engineOptions);
  const decode = await createEngine(device, next.compiled.program, { ...engineOptions, share: prefill });
  const model = trainableModel(first.traced, first.compiled, aboutModel(checkpoint.path, checkpoint.model, first.traced, lora));
  await loadParams(prefill, startsOf(model, checkpointWeights(checkpoint, lora?.existing?.weights ?? null)), 0, options);

  const logitsOf = async (prompt: readonly number[]): Promise<Float32Array> => {
    if (prompt.length === 0) throw new EbbError('the prompt is empty; give at least one token');
    let logits = new Float32Array(0);
    for (let from = 0; from < prompt.length; from += CHUNK)
      logits = await nextLogits(prefill, Int32Array.from(prompt.slice(from, from + CHUNK)), from, capacity);
    return logits;
  };

  return {
    logits: logitsOf,
    async *generate(prompt, settings) {
      if (prompt.length + settings.maxNewTokens > capacity)
        throw new EbbError(
          `the prompt has ${prompt.length} tokens and ${settings.maxNewTokens} are to follow, but the cache holds ${capacity}; shorten the prompt or ask for fewer tokens`,
        );
      let logits = await logitsOf(prompt);
      for (let i = 0; i < settings.maxNewTokens; i++) {
        const token = chooseToken(logits, settings, i);
        yield token;
        if (settings.stopIds.includes(token) || i + 1 === settings.maxNewTokens) return;
        logits = await nextLogits(decode, Int32Array.of(token), prompt.length + i, capacity);
      }
    },
    close() {
      decode.destroy();
      prefill.destroy();
    },
  };
}

/**
 * Chooses the next token from logits [vocabSize]: the likeliest one at a temperature of 0, otherwise one that is drawn after temperature,
 * top-k and top-p (nucleus sampling: Holtzman et al. 2020, arXiv 1904.09751) were applied.
 * @param index place of the token in the answer; the same seed and index draw the same number
 */
export function chooseToken(
  logits: Float32Array,
  { temperature, topK, topP, seed }: Pick<GenerateOptions, 'temperature' | 'topK' | 'topP' | 'seed'>,
  index: number,
): number {
  if (temperature <= 0) return logits.reduce((best, value, i) => (value > at(logits, best) ? i : best), 0);
  const ranked = Array.from(logits, (value, id) => ({ value, id }))
    .sort((a, b) => b.value - a.value)
    .slice(0, topK > 0 ? topK : logits.length);
  const likeliest = at(ranked, 0);
  const weights = ranked.map(({ value }) => Math.exp((value - likeliest.value) / temperature));
  const kept = nucleus(weights, topP);
  let draw = uniform(seed, TOKEN_DRAWS, index) * kept.reduce((a, b) => a + b, 0);
  for (const [rank, weight] of kept.entries()) {
    draw -= weight;
    if (draw < 0) return at(ranked, rank).id;
  }
  return likeliest.id;
}

/** The first of `weights`, which are sorted from large to small, that together reach the share `topP` of their sum. */
function nucleus(weights: readonly number[], topP: number): readonly number[] {
  const total = weights.reduce((a, b) => a + b, 0);
  let kept = 0;
  let mass = 0;
  while (kept < weights.length && mass < topP * total) mass += at(weights, kept++);
  return weights.slice(0, kept);
}

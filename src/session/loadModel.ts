/** @file `loadModel`: a model, with or without an adapter, that chats, continues text, is evaluated and saved. */

import { cpSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { at, EbbError } from '../errors.ts';
import type { FieldNames } from '../formats/dataset.ts';
import { fileError } from '../formats/files.ts';
import type { ChatMessage } from '../formats/records.ts';
import { checkKnown } from '../issues.ts';
import { type Checkpoint, openCheckpoint } from '../models/checkpoint.ts';
import { type HeldDevice, holdDevice } from '../node/device.ts';
import { type LoadedAdapter, loadAdapter, tellBase } from '../run/adapter.ts';
import { tellNotes, WATCH, type Watch } from '../run/progress.ts';
import { USUAL_SIZES } from '../run/run.ts';
import { prefixFor } from '../tokenizer/framing.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { ON_DEVICE, type OnDevice } from './device.ts';
import { type EvalReport, evaluateCheckpoint } from './evaluate.ts';
import { createGenerator, type Generator } from './generator.ts';
import { modelPath } from './modelPath.ts';
import { loraOf } from './session.ts';
import { stopTokens } from './stopTokens.ts';
import { decoded, type TextStream, textStream } from './textStream.ts';

/** How a model is loaded. */
export interface LoadOptions extends OnDevice, Watch {
  /** A PEFT adapter: its folder, or that of a run. */
  readonly adapter?: string | undefined;
  /** Most tokens of a conversation, prompt and answer together. Default: as many as the model has positions for. */
  readonly contextLength?: number;
}

/** How an answer is made. */
export interface AnswerOptions {
  /** Default 256, or fewer where the context ends before. */
  readonly maxNewTokens?: number;
  /** 0 always takes the likeliest token, which is the default. */
  readonly temperature?: number;
  /** Only so many of the likeliest tokens are drawn from; 0, the default, keeps all. */
  readonly topK?: number;
  /** Only the likeliest tokens whose probabilities reach this sum are drawn from; 1, the default, keeps all. */
  readonly topP?: number;
  readonly seed?: number;
  /** Ends the answer: the stream throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How a model is evaluated. */
export interface EvaluateOptions extends Watch {
  /** Most examples: records, pieces of text, or sequences of ready batches. Default 64. */
  readonly limit?: number | undefined;
  /** Sequences at once. Default 1. */
  readonly batch?: number | undefined;
  /** Most tokens of a sequence. Default 256. */
  readonly length?: number | undefined;
  /** The names of a record's fields, where they are not the usual ones. */
  readonly fields?: FieldNames | undefined;
}

/** A model on a device. Its answers are made one at a time. */
export interface LoadedModel {
  /** Where the model lies. */
  readonly path: string;
  /** Answers a conversation, rendered by the model's chat template. @throws EbbError for one that is longer than the context */
  chat(messages: readonly ChatMessage[], options?: AnswerOptions): TextStream;
  /** Continues a text. @throws EbbError for one that is longer than the context */
  generate(prompt: string, options?: AnswerOptions): TextStream;
  /** The loss on data, a mean over the tokens that count. @throws EbbError for data that cannot be used */
  evaluate(data: string, options?: EvaluateOptions): Promise<EvalReport>;
  /** Writes the adapter, or the model where it has none, into a folder. @throws EbbError where files would be written over */
  save(folder: string): Promise<void>;
  /** Frees the device memory. */
  close(): void;
}

const LOAD: Readonly<Record<keyof LoadOptions, true>> = { ...ON_DEVICE, ...WATCH, adapter: true, contextLength: true };
const ANSWERED: Readonly<Record<keyof AnswerOptions, true>> = { maxNewTokens: true, temperature: true, topK: true, topP: true, seed: true, signal: true };
const EVALUATION: Readonly<Record<keyof EvaluateOptions, true>> = { ...WATCH, limit: true, batch: true, length: true, fields: true };

/** Examples that are evaluated where no limit is given. */
const EVALUATED = 64;
const ANSWER: Required<Omit<AnswerOptions, 'signal'>> = { maxNewTokens: 256, temperature: 0, topK: 0, topP: 1, seed: 0 };

/** Tokens until one that ends the answer, or until the signal. */
async function* untilStop(tokens: AsyncIterable<number>, stopIds: readonly number[], signal: AbortSignal | undefined): AsyncGenerator<number> {
  for await (const id of tokens) {
    signal?.throwIfAborted();
    if (stopIds.includes(id)) return;
    yield id;
  }
}

/** The files of a model or an adapter. */
function filesOf(checkpoint: Checkpoint, adapter: LoadedAdapter | null): readonly string[] {
  // a GGUF file may be in parts
  if (adapter === null && checkpoint.kind === 'gguf')
    return [...new Set([checkpoint.path, ...[...checkpoint.tensors.values()].flatMap(({ file }) => file ?? [])])];
  const folder = adapter?.path ?? checkpoint.path;
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile() && !basename(file).startsWith('.'));
}

function saveFiles(folder: string, files: readonly string[]): void {
  const names = files.map((file) => basename(file));
  const taken = names.find((name) => existsSync(join(folder, name)));
  if (taken !== undefined) throw new EbbError(`${join(folder, taken)}: is there already; give a new folder`, 'file');
  try {
    mkdirSync(folder, { recursive: true });
    for (const [i, file] of files.entries()) cpSync(file, join(folder, at(names, i)));
  } catch (error) {
    throw fileError(folder, error);
  }
}

/** A device that was handed over stays open, and whoever opened it hears of its errors; one that was named is closed with the model. */
async function holdOn(device: OnDevice['device']): Promise<HeldDevice> {
  return typeof device === 'object' ? { device, guard: (work) => work, close: () => {} } : holdDevice(device);
}

/** Programs for sequences of so many tokens. */
interface Sized {
  readonly capacity: number;
  readonly generator: Generator;
}

/** The least that programs are made for. */
const LEAST_CAPACITY = 256;

/** Makes the function that gives programs for sequences of so many tokens: those that are there, or larger ones in their place. */
function generators(most: number, create: (capacity: number) => Promise<Generator>): { readonly of: (tokens: number) => Promise<Generator>; close(): void } {
  let made: Promise<Sized> | null = null;
  const replace = async (tokens: number, before: Sized | null): Promise<Sized> => {
    if (before !== null && before.capacity >= tokens) return before;
    before?.generator.close();
    const capacity = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(LEAST_CAPACITY, tokens))));
    return { capacity, generator: await create(capacity) };
  };
  return {
    async of(tokens) {
      const before = made;
      made = (before ?? Promise.resolve(null)).then((sized) => replace(tokens, sized));
      return (await made).generator;
    },
    close() {
      void made?.then(({ generator }) => generator.close());
    },
  };
}

/**
 * Loads a checkpoint folder, a GGUF file or a hub id.
 * @throws EbbError for a model, an adapter or a device that cannot be used
 */
export async function loadModel(model: string, options: LoadOptions = {}): Promise<LoadedModel> {
  checkKnown('loadModel()', options, LOAD);
  const { signal } = options;
  const checkpoint = openCheckpoint(await modelPath(model, {}, options));
  const adapter = options.adapter === undefined ? null : loadAdapter(options.adapter);
  tellNotes(options, model, checkpoint.notes);
  tellBase(options, adapter, model);
  const most = Math.min(options.contextLength ?? checkpoint.config.maxPosition, checkpoint.config.maxPosition);
  signal?.throwIfAborted();
  const { device, guard, close } = await holdOn(options.device);
  const programs = generators(most, (capacity) => createGenerator(checkpoint, device, { capacity, lora: adapter ? loraOf(adapter, 'adapter') : null }));
  let opened: Promise<Tokenizer> | null = null;
  const tokenizer = (): Promise<Tokenizer> => {
    opened ??= openTokenizer(checkpoint.path);
    return opened;
  };

  /** Answers a prompt. @param promptOf makes its tokens */
  const answer = (promptOf: (words: Tokenizer) => Promise<readonly number[]>, options: AnswerOptions): TextStream => {
    checkKnown('an answer', options, ANSWERED);
    const { signal: stop, ...given } = options;
    const settings = { ...ANSWER, ...given };
    async function* pieces(): AsyncGenerator<string> {
      const words = await tokenizer();
      const prompt = await promptOf(words);
      const room = most - prompt.length;
      const { maxNewTokens = Math.min(ANSWER.maxNewTokens, room) } = given;
      if (room < Math.max(1, maxNewTokens))
        throw new EbbError(
          `the prompt has ${prompt.length} tokens and ${Math.max(1, maxNewTokens)} are to follow, but the context holds ${most}; shorten the prompt or ask for fewer tokens`,
          'input',
        );
      const stopIds = stopTokens(checkpoint, words);
      async function* ids(): AsyncGenerator<number> {
        const program = await guard(programs.of(prompt.length + maxNewTokens));
        const tokens = untilStop(program.generate(prompt, { ...settings, maxNewTokens, stopIds }), stopIds, stop);
        try {
          for (let next = await guard(tokens.next()); !next.done; next = await guard(tokens.next())) yield next.value;
        } finally {
          await tokens.return(undefined);
        }
      }
      yield* decoded(ids(), (all) => words.decode(all, { skipSpecial: true }));
    }
    return textStream(pieces());
  };

  return {
    path: checkpoint.path,
    chat: (messages, given = {}) => answer((words) => words.ids(words.templates.render({ messages, fields: {} }, { addGenerationPrompt: true }).text), given),
    generate: (prompt, given = {}) =>
      answer(async (words) => {
        const ids = await words.ids(prompt);
        return [...prefixFor(words.framing, ids), ...ids];
      }, given),
    async evaluate(data, given = {}) {
      checkKnown('evaluate()', given, EVALUATION);
      const { limit = EVALUATED, batch = USUAL_SIZES.batch, length = USUAL_SIZES.length, fields, ...watch } = given;
      return guard(evaluateCheckpoint(checkpoint, adapter, { data, limit, batch, length, fields }, device, watch));
    },
    async save(folder) {
      saveFiles(folder, filesOf(checkpoint, adapter));
    },
    close() {
      programs.close();
      close();
    },
  };
}

/** @file `loadModel`: a model, with or without an adapter, that chats, continues text, is evaluated and saved. */

import { resolve } from 'node:path';
import { z } from 'zod';
import { type FieldNames, fieldNames } from '../data/fieldNames.ts';
import type { ChatMessage } from '../data/kinds.ts';
import { EbbError, invariant } from '../errors.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import { type Checkpoint, openCheckpoint } from '../models/checkpoint.ts';
import { generationMode } from '../models/inputs.ts';
import { type LoadedAdapter, loadAdapter, tellAdapter } from '../run/adapter.ts';
import { during, type StopSignal, tellNotes, type Watch } from '../run/progress.ts';
import { USUAL_SIZES } from '../run/runData.ts';
import { prefixFor } from '../tokenizer/framing.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { holdOn, type OnDevice } from './device.ts';
import { type EvalReport, evaluateCheckpoint } from './evaluate.ts';
import { createGenerator, type GenerateOptions } from './generator.ts';
import { generators } from './generators.ts';
import { modelPath } from './modelPath.ts';
import { ON_DEVICE, signal, text, WATCH, whole, within } from './optionKinds.ts';
import { type SavedAdapter, saveModel } from './saveModel.ts';
import { aboutModel, type LoraOptions, loraOf, traceCheckpoint } from './session.ts';
import { stopTokens } from './stopTokens.ts';
import { decoded, type TextStream, textStream } from './textStream.ts';
import { once, oneAtATime } from './turns.ts';

/** How a model is loaded. */
export interface LoadOptions extends OnDevice, Watch {
  /** A PEFT adapter: its folder, or that of a run. */
  readonly adapter?: string | undefined;
  /** The chat template: a Jinja file, or the name of one of the model's. Default: as the model says. */
  readonly chatTemplate?: string | undefined;
  /** Most tokens of a conversation, prompt and answer together. Default: as many as the model has positions for. */
  readonly contextLength?: number | undefined;
}

/** How an answer is made. */
export interface AnswerOptions {
  /** Default 256, or fewer where the context ends before. */
  readonly maxNewTokens?: number | undefined;
  /** 0 always takes the likeliest token, which is the default. */
  readonly temperature?: number | undefined;
  /** Only so many of the likeliest tokens are drawn from; 0, the default, keeps all. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens whose probabilities reach this sum are drawn from; 1, the default, keeps all. */
  readonly topP?: number | undefined;
  readonly seed?: number | undefined;
  /** Ends the answer: the stream throws the signal's reason. */
  readonly signal?: StopSignal | undefined;
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

const LOAD: OptionShape<LoadOptions> = { ...ON_DEVICE, ...WATCH, adapter: text.optional(), chatTemplate: text.optional(), contextLength: whole(1) };
const ANSWERED: OptionShape<AnswerOptions> = {
  maxNewTokens: whole(1),
  temperature: within(0),
  topK: whole(0),
  topP: z.number().gt(0).max(1).optional(),
  seed: whole(0),
  signal,
};
const EVALUATION: OptionShape<EvaluateOptions> = {
  ...WATCH,
  limit: whole(1),
  batch: whole(1),
  length: whole(1),
  fields: fieldNames.optional(),
};

/** Examples that are evaluated where no limit is given. */
const EVALUATED = 64;
/** Most tokens of an answer where nothing is said. */
const ANSWERED_TOKENS = 256;

/** Tokens until one that ends the answer, or until the signal. */
async function* untilStop(tokens: AsyncIterable<number>, stopIds: readonly number[], signal: StopSignal | undefined): AsyncGenerator<number> {
  for await (const id of tokens) {
    signal?.throwIfAborted();
    if (stopIds.includes(id)) return;
    yield id;
  }
}

/** The options of an answer. @throws EbbError for those that are wrong, and for draws that nothing asks for */
function answerSettings(options: AnswerOptions): Omit<GenerateOptions, 'maxNewTokens' | 'stopIds'> {
  checkOptions('an answer', options, ANSWERED);
  const { temperature = 0, topK = 0, topP = 1, seed = 0 } = options;
  const idle = (['topK', 'topP', 'seed'] as const).find((key) => options[key] !== undefined && options[key] !== DRAWING[key]);
  if (temperature === 0 && idle !== undefined)
    throw new EbbError(
      `${idle} (${options[idle]}): at temperature 0 the likeliest token is always taken, and none is drawn; give a temperature above 0, or leave ${idle} out`,
    );
  return { temperature, topK, topP, seed };
}

/** Messages of a conversation. @throws EbbError for what is none */
function checkMessages(messages: readonly ChatMessage[]): void {
  const expected = 'expected a list of messages such as { role: "user", content: "…" }';
  if (!Array.isArray(messages) || messages.length === 0) throw new EbbError(`chat(): is given ${JSON.stringify(messages) ?? 'nothing'}, ${expected}`);
  for (const [i, message] of messages.entries())
    if (typeof message !== 'object' || message === null || typeof message.role !== 'string')
      throw new EbbError(`chat(): message ${i} is ${JSON.stringify(message)}, ${expected}`);
}

/** What draws are where nothing is said. */
const DRAWING = { topK: 0, topP: 1, seed: 0 } as const;

/** An adapter on a model, as it is loaded and as it is saved. */
interface Fitted extends SavedAdapter {
  readonly lora: LoraOptions;
}

/** @throws EbbError for an adapter that does not fit the model */
function fitted(checkpoint: Checkpoint, loaded: LoadedAdapter | null): Fitted | null {
  if (!loaded) return null;
  const lora = loraOf(loaded, 'adapter');
  const traced = traceCheckpoint(checkpoint, { mode: generationMode(1), dims: { T: 1 }, lora, trains: 'nothing' });
  const { lora: about } = aboutModel(checkpoint.path, checkpoint.model, traced, lora);
  invariant(about, 'a model with an adapter is one without');
  return { loaded, lora, about };
}

/**
 * Loads a checkpoint folder, a GGUF file or a hub id.
 * @throws EbbError for a model, an adapter or a device that cannot be used
 */
export async function loadModel(model: string, options: LoadOptions = {}): Promise<LoadedModel> {
  checkOptions('loadModel()', { model }, { model: text });
  checkOptions('loadModel()', options, LOAD);
  options.signal?.throwIfAborted();
  // what is read later is read of the same place, wherever the program goes meanwhile
  const path = resolve(await modelPath(model, {}, options));
  const checkpoint = await during(options, `reading ${model}`, () => openCheckpoint(path));
  tellNotes(options, model, checkpoint.notes);
  const adapter = fitted(checkpoint, options.adapter === undefined ? null : loadAdapter(resolve(options.adapter)));
  tellAdapter(options, adapter?.loaded ?? null, model);
  const { contextLength: most = checkpoint.config.maxPosition } = options;
  if (most > checkpoint.config.maxPosition)
    throw new EbbError(`contextLength is ${most}, and the model was made for ${checkpoint.config.maxPosition} positions; lower it, or leave it out`);
  options.signal?.throwIfAborted();
  const { device, guard, close } = await holdOn(options.device, options);
  const programs = generators(most, (capacity) =>
    createGenerator(checkpoint, device, { capacity, lora: adapter?.lora ?? null, onProgress: options.onProgress }),
  );
  const turns = oneAtATime();
  const words = once(() => openTokenizer(checkpoint.path, options));
  let isClosed = false;
  const checkOpen = (): void => {
    if (isClosed) throw new EbbError(`${checkpoint.path}: the model is closed; load it again`);
  };

  async function* tokens(prompt: readonly number[], given: AnswerOptions, stopIds: readonly number[]): AsyncGenerator<number> {
    const settings = answerSettings(given);
    const { maxNewTokens = Math.min(ANSWERED_TOKENS, most - prompt.length) } = given;
    const wanted = Math.max(1, maxNewTokens);
    if (most - prompt.length < wanted)
      throw new EbbError(
        `the prompt has ${prompt.length} tokens and ${wanted} are to follow, but the context holds ${most}; shorten the prompt or ask for fewer tokens`,
      );
    const program = await guard(programs.of(prompt.length + wanted));
    const chosen = untilStop(program.generate(prompt, { ...settings, maxNewTokens: wanted, stopIds }), stopIds, given.signal);
    try {
      for (let next = await guard(chosen.next()); !next.done; next = await guard(chosen.next())) {
        yield next.value;
        checkOpen();
      }
    } finally {
      await chosen.return(undefined);
    }
  }

  /** Answers a prompt. @param promptOf makes its tokens */
  const answer = (given: AnswerOptions, promptOf: (tokenizer: Tokenizer) => Promise<readonly number[]>): TextStream => {
    answerSettings(given);
    checkOpen();
    async function* pieces(): AsyncGenerator<string> {
      checkOpen();
      const tokenizer = await words();
      const stopIds = await stopTokens(checkpoint, tokenizer);
      yield* decoded(tokens(await promptOf(tokenizer), given, stopIds), (ids) => tokenizer.decode(ids, { skipSpecial: true }));
    }
    return textStream(() => turns(pieces));
  };

  return {
    path: checkpoint.path,
    chat(messages, given = {}) {
      checkMessages(messages);
      return answer(given, ({ ids, templates }) => ids(templates.render({ messages, fields: {} }, { addGenerationPrompt: true }).text));
    },
    generate(prompt, given = {}) {
      if (typeof prompt !== 'string') throw new EbbError(`generate(): the prompt is ${JSON.stringify(prompt) ?? 'missing'}, expected a text`);
      return answer(given, async ({ ids, framing }) => {
        const own = await ids(prompt);
        return [...prefixFor(framing, own), ...own];
      });
    },
    async evaluate(data, given = {}) {
      checkOpen();
      checkOptions('evaluate()', { data }, { data: text });
      checkOptions('evaluate()', given, EVALUATION);
      const { limit = EVALUATED, batch = USUAL_SIZES.batch, length = USUAL_SIZES.length, fields, ...watch } = given;
      return guard(
        evaluateCheckpoint(checkpoint, adapter?.loaded ?? null, { data, limit, batch, length, fields, chatTemplate: options.chatTemplate }, device, watch),
      );
    },
    async save(folder) {
      checkOptions('save()', { folder }, { folder: text });
      await saveModel(folder, checkpoint, adapter);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      programs.close();
      close();
    },
  };
}

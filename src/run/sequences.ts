/** @file Text and records as sequences of tokens: read, tokenised, cut, labelled. The long part of opening data: prepare.ts runs it in a worker. */

import { at, EbbError, invariant } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset } from '../formats/dataset.ts';
import { chatLessons } from '../tokenizer/chat.ts';
import type { Encoded } from '../tokenizer/engine.ts';
import { framingText, prefixFor, suffixFor } from '../tokenizer/framing.ts';
import { completionLesson, endingText, type Labelled, type Lesson, labelled } from '../tokenizer/lessons.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { halfPair, isWhole } from '../tokenizer/wholeText.ts';
import { chunkTokens, type Sequence } from '../train/batches.ts';

/** What is to be tokenised, as plain data. */
export interface SequenceRequest {
  /** Text, or JSONL records. */
  readonly path: string;
  /** Where the tokenizer is: a folder, a tokenizer.json or a GGUF file. */
  readonly tokenizer: string;
  /** Most tokens of a sequence. */
  readonly length: number;
  readonly fields: FieldNames;
  /** The chat template of conversations, where it is not the tokenizer's own. */
  readonly chatTemplate?: string | undefined;
  /** At most this many examples. */
  readonly limit?: number | undefined;
  /** Tokens that the model has rows for. */
  readonly vocabSize: number;
  /** The time that chat templates tell. Default: now. */
  readonly now?: Date | undefined;
}

export interface Tokenised {
  readonly sequences: readonly Sequence[];
  /** What a person should know: how sequences begin and end, what was cut or left out, and what the tokenizer's files say against each other. */
  readonly notes: readonly string[];
  readonly padId: number;
}

/** @throws EbbError for a token that the model has no row for; `what`: the record, or the text, that holds it */
async function checkRows(what: string, tokens: ArrayLike<number>, words: Tokenizer, vocabSize: number): Promise<void> {
  const id = Array.from(tokens).find((t) => t >= vocabSize);
  if (id === undefined) return;
  throw new EbbError(
    `${what} holds token ${id} (${JSON.stringify(await words.decode([id]))}), and the model has rows for tokens 0 to ${vocabSize - 1}: its tokenizer knows ${words.vocabSize} tokens; resize the model's embedding to at least ${id + 1} rows, or leave the token out of the data`,
    'input',
  );
}

/** What a record teaches. @throws EbbError naming the record that a chat template refuses */
function lessonsOf(where: string, record: DataRecord, tokenizer: Tokenizer, now: Date | undefined): readonly Lesson[] {
  if (!('messages' in record)) return [completionLesson(record.prompt ?? '', record.completion)];
  try {
    return chatLessons(tokenizer.templates, record, { now });
  } catch (error) {
    throw error instanceof EbbError ? new EbbError(`${where}: ${error.message}`, error.code) : error;
  }
}

/** Tokens and labels cut at `length`, or null where nothing that is left is learnt: the first token is predicted from nothing. */
function cut({ ids, labels }: Labelled, length: number): Sequence | null {
  const learnt = labels.slice(0, length);
  return learnt.slice(1).some((label) => label >= 0) ? { tokens: Int32Array.from(ids.slice(0, length)), labels: Int32Array.from(learnt) } : null;
}

/** A lesson, and the record that it is of. */
interface Placed {
  readonly where: string;
  readonly lesson: Lesson;
}

/** Sequences, and how many were cut or left out. */
interface Counted {
  readonly sequences: Sequence[];
  cut: number;
  leftOut: number;
  /** How the first one ends. */
  ending: string | null;
}

async function encodeAll(placed: readonly Placed[], words: Tokenizer, { length, vocabSize }: SequenceRequest, counted: Counted): Promise<void> {
  const encoded = await encodedAt(placed, words);
  for (const [i, { where, lesson }] of placed.entries()) {
    const whole = labelled(lesson, at(encoded, i), words);
    counted.ending ??= lesson.isFramed ? framingText(words.framing, words.token) : endingText(whole, words);
    const sequence = cut(whole, length);
    if (!sequence) {
      counted.leftOut++;
      continue;
    }
    if (whole.ids.length > length) counted.cut++;
    await checkRows(where, sequence.tokens, words, vocabSize);
    counted.sequences.push(sequence);
  }
}

/** @throws EbbError naming the record whose text cannot be encoded */
async function encodedAt(placed: readonly Placed[], words: Tokenizer): Promise<readonly Encoded[]> {
  const broken = placed.find(({ lesson }) => !isWhole(lesson.text));
  if (broken) throw new EbbError(`${broken.where}: ${halfPair(broken.lesson.text)}`, 'input');
  return words.encode(placed.map(({ lesson }) => lesson.text));
}

/** Texts that are encoded at once: as many as keep all cores at work. */
const AT_ONCE = 512;

/** Says what was cut and left out; nothing where all is whole. */
function countsText(path: string, length: number, { sequences, cut, leftOut }: Counted): readonly string[] {
  if (cut === 0 && leftOut === 0) return [];
  const parts = [
    `${sequences.length} sequences are learnt`,
    ...(cut > 0 ? [`${cut} of them cut at ${length} tokens`] : []),
    ...(leftOut > 0 ? [`${leftOut} left out, since nothing of them is learnt within ${length} tokens`] : []),
  ];
  return [`${path}: ${parts.join(', ')}`];
}

type Found = Pick<Tokenised, 'sequences' | 'notes'>;

async function recordSequences(records: Iterable<DataRecord>, words: Tokenizer, request: SequenceRequest): Promise<Found> {
  const { path, length, limit = Number.POSITIVE_INFINITY } = request;
  const counted: Counted = { sequences: [], cut: 0, leftOut: 0, ending: null };
  let waiting: Placed[] = [];
  let read = 0;
  for (const record of records) {
    if (read++ >= limit) break;
    const where = `${path}: record ${read}`;
    waiting.push(...lessonsOf(where, record, words, request.now).map((lesson) => ({ where, lesson })));
    if (waiting.length < AT_ONCE) continue;
    await encodeAll(waiting, words, request, counted);
    waiting = [];
  }
  await encodeAll(waiting, words, request, counted);
  return { sequences: counted.sequences, notes: [...(counted.ending === null ? [] : [`${path}: ${counted.ending}`]), ...countsText(path, length, counted)] };
}

/** The pieces of a text, which begins and ends as texts do. */
async function textSequences(text: string, words: Tokenizer, { path, length, limit, vocabSize }: SequenceRequest): Promise<Found> {
  if (!isWhole(text)) throw new EbbError(`${path}: ${halfPair(text)}`, 'input');
  const ids = await words.ids(text);
  const whole = [...prefixFor(words.framing, ids), ...ids, ...suffixFor(words.framing, ids)];
  const sequences = chunkTokens(whole, length).slice(0, limit);
  for (const { tokens } of sequences) await checkRows(`${path}: the text`, tokens, words, vocabSize);
  return { sequences, notes: [`${path}: ${framingText(words.framing, words.token)}`] };
}

/** @throws EbbError naming the file when nothing in it can be learnt, for a token the model has no row for, and for a tokenizer that is missing */
export async function tokenise(request: SequenceRequest): Promise<Tokenised> {
  const { path, length, fields } = request;
  const dataset = openDataset(path, fields);
  invariant(dataset.kind !== 'batches', `${path} holds batches`);
  const words = await openTokenizer(request.tokenizer, request);
  const { sequences, notes } = await (dataset.kind === 'text'
    ? textSequences(dataset.text, words, request)
    : recordSequences(dataset.records(), words, request));
  if (sequences.length === 0) throw new EbbError(`${path}: no example has a token to learn within ${length} tokens; raise the length`);
  return { sequences, notes: [...words.notes, ...notes], padId: words.padTokenId ?? words.eosTokenId ?? 0 };
}

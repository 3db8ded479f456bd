/** @file Text and records as sequences of tokens: read, tokenised, cut, labelled. The long part of opening data: prepare.ts runs it in a worker. */

import { wholeText } from '../data/bytes.ts';
import type { FieldNames } from '../data/fieldNames.ts';
import type { LocatedData } from '../data/locate.ts';
import { type DataRecord, nothingRead, readRecords } from '../data/records.ts';
import { at, EbbError } from '../errors.ts';
import { chatLessons } from '../tokenizer/chat.ts';
import type { Encoded } from '../tokenizer/engine.ts';
import { framingText, prefixFor, suffixFor } from '../tokenizer/framing.ts';
import { completionLesson, endingText, type Lesson, labelled } from '../tokenizer/lessons.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { tryTokenizer } from '../tokenizer/trial.ts';
import { halfPair, isWhole } from '../tokenizer/wholeText.ts';
import { countCovered, coverageNotes } from './coverage.ts';
import type { DataReport } from './dataReport.ts';
import { cutSequence, leftOutOf, type Made, nothingMade, type Sink, take } from './made.ts';

/** What is to be tokenised, as plain data. */
export interface SequenceRequest {
  /** Text or records: a file, a folder of shards, a pattern, or - for standard input. */
  readonly path: string;
  /** Where the tokenizer is: a folder, a tokenizer.json or a GGUF file. */
  readonly tokenizer: string;
  /** Most tokens of a sequence; null where sequences stay whole. */
  readonly length: number | null;
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

/** What became of data: its sequences went to a sink. */
export interface Tokenised {
  /** Tokens of each sequence. */
  readonly kept: Int32Array<ArrayBuffer>;
  /** The record that each sequence is of, from 1. */
  readonly records: Int32Array<ArrayBuffer>;
  readonly report: DataReport;
  readonly padId: number;
}

/** @throws EbbError for a token that the model has no row for; `what`: the record, or the text, that holds it */
async function checkRows(what: string, tokens: Int32Array, words: Tokenizer, vocabSize: number): Promise<void> {
  const id = tokens.find((t) => t >= vocabSize);
  if (id === undefined) return;
  throw new EbbError(
    `${what} holds token ${id} (${JSON.stringify(await words.decode([id]))}), and the model has rows for tokens 0 to ${vocabSize - 1}: its tokenizer knows ${words.vocabSize} tokens; resize the model's embedding to at least ${id + 1} rows, or leave the token out of the data`,
    'input',
  );
}

/** What a record teaches. @throws EbbError naming the record that a chat template refuses */
function lessonsOf({ where, example }: DataRecord, tokenizer: Tokenizer, now: Date | undefined): readonly Lesson[] {
  if (!('messages' in example)) return [completionLesson(example.prompt ?? '', example.completion)];
  try {
    return chatLessons(tokenizer.templates, example, { now });
  } catch (error) {
    throw error instanceof EbbError ? new EbbError(`${where}: ${error.message}`, error.code) : error;
  }
}

/** A lesson, and the record that it is of. */
interface Placed {
  readonly record: DataRecord;
  readonly lesson: Lesson;
}

/** Makes sequences of lessons that are encoded. */
async function addAll(
  placed: readonly Placed[],
  encoded: readonly Encoded[],
  words: Tokenizer,
  { length, vocabSize }: SequenceRequest,
  made: Made,
): Promise<void> {
  for (const [i, { record, lesson }] of placed.entries()) {
    const whole = labelled(lesson, at(encoded, i), words);
    countCovered(made.coverage, lesson.text, at(encoded, i), words);
    const found = cutSequence(made, record.number, whole, length);
    if (!found) continue;
    await checkRows(record.where, found.sequence.tokens, words, vocabSize);
    take(made, record.number, found.sequence, found.learnt);
    const framing = lesson.isFramed ? framingText(words.framing, words.token) : endingText(whole, words);
    made.framings.set(framing, (made.framings.get(framing) ?? 0) + 1);
  }
}

/** @throws EbbError naming the record whose text cannot be encoded */
async function encodedAt(placed: readonly Placed[], words: Tokenizer): Promise<readonly Encoded[]> {
  const broken = placed.find(({ lesson }) => !isWhole(lesson.text));
  if (broken) throw new EbbError(`${broken.record.where}: ${halfPair(broken.lesson.text)}`, 'input');
  try {
    return await words.encode(placed.map(({ lesson }) => lesson.text));
  } catch (error) {
    if (!(error instanceof EbbError)) throw error;
    // which one of them it is, only trying tells
    for (const { record, lesson } of placed)
      await words.encode([lesson.text]).catch((own: unknown) => {
        throw own instanceof EbbError ? new EbbError(`${record.where}: ${own.message}`, own.code) : own;
      });
    throw error;
  }
}

/** Texts that are encoded at once: as many as keep all cores at work. */
const AT_ONCE = 512;

/** What was made of data, and what is known of its records. */
interface Found {
  readonly kind: string;
  readonly records: number;
  readonly unusedFields: readonly string[];
}

async function recordSequences(data: LocatedData, words: Tokenizer, request: SequenceRequest, made: Made): Promise<Found> {
  const { fields, limit = Number.POSITIVE_INFINITY } = request;
  const read = nothingRead();
  /** While some lessons are encoded, on other threads, sequences are made of those before. */
  let before: Promise<void> = Promise.resolve();
  const start = async (placed: readonly Placed[]): Promise<void> => {
    const [earlier, encoding] = [before, encodedAt(placed, words)];
    before = Promise.all([encoding, earlier]).then(([encoded]) => addAll(placed, encoded, words, request, made));
    // whoever waits for it is told
    before.catch(() => {});
    await earlier;
  };
  let waiting: Placed[] = [];
  let records = 0;
  try {
    for await (const record of readRecords(data, fields, read)) {
      if (records >= limit) break;
      records++;
      if (record.isLearnt) waiting.push(...lessonsOf(record, words, request.now).map((lesson) => ({ record, lesson })));
      else made.leftOut.nothing.push(record.number);
      if (waiting.length < AT_ONCE) continue;
      await start(waiting);
      waiting = [];
    }
    await start(waiting);
    await before;
  } finally {
    // whoever takes the sequences may close what they go to, once this has ended
    await before.catch(() => {});
  }
  return { kind: read.kind?.title ?? '', records, unusedFields: [...read.unused] };
}

/** A text without a byte order mark, its lines ending as on Unix. @throws EbbError for one that holds nothing, or records */
function textIn(file: LocatedData['files'][number]): string {
  const text = wholeText(file).replaceAll('\r\n', '\n');
  if (text.trim() === '') throw new EbbError(`${file.path}: holds no text to learn`);
  if (!isWhole(text)) throw new EbbError(`${file.path}: ${halfPair(text)}`, 'input');
  const first = text.trimStart().split('\n', 1)[0] ?? '';
  if (first.startsWith('{') && isJson(first))
    throw new EbbError(
      `${file.path}: begins with a JSON object, which would be learnt as text, braces and all; if it holds records, rename it to end in .jsonl`,
      'file',
    );
  return text;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The pieces of texts, each of which begins and ends as texts do. */
async function textSequences(
  data: LocatedData,
  words: Tokenizer,
  { length, limit = Number.POSITIVE_INFINITY, vocabSize }: SequenceRequest,
  made: Made,
): Promise<Found> {
  const most = length ?? Number.POSITIVE_INFINITY;
  for (const file of data.files) {
    const text = textIn(file);
    const [encoded] = await words.encode([text]);
    const ids = encoded?.ids ?? [];
    if (encoded) countCovered(made.coverage, text, encoded, words);
    const whole = Int32Array.from([prefixFor(words.framing, ids), ids, suffixFor(words.framing, ids)].flat());
    await checkRows(`${file.path}: the text`, whole, words, vocabSize);
    for (let from = 0; from + 1 < whole.length && made.count < limit; from += most) {
      const part = whole.slice(from, from + most);
      if (part.length < 2) continue;
      made.lengths.push(part.length);
      take(made, made.count + 1, { tokens: part, labels: part }, part.length - 1);
    }
  }
  made.framings.set(framingText(words.framing, words.token), made.count);
  return { kind: 'text', records: made.count, unusedFields: [] };
}

/** @throws EbbError naming the file when nothing in it can be learnt, for a token the model has no row for, and for a tokenizer that is missing */
export async function tokenise(request: SequenceRequest, data: LocatedData, sink: Sink): Promise<Tokenised> {
  const { path, length } = request;
  const words = await openTokenizer(request.tokenizer, request);
  await tryTokenizer(words);
  const made = nothingMade(sink);
  const { kind, records, unusedFields } = await (data.kind === 'text' ? textSequences : recordSequences)(data, words, request, made);
  const { count, tokens, learnt } = made;
  const report: DataReport = {
    path,
    kind,
    records,
    used: count,
    cut: made.cut.values(),
    leftOut: leftOutOf(made),
    length,
    tokens,
    learnt,
    lengths: made.lengths.values(),
    framings: [...made.framings].map(([text, count]) => ({ text, sequences: count })),
    unusedFields,
    notes: words.notes,
    coverage: coverageNotes(request, words, made.coverage),
  };
  // what pads is masked, but has to be a token that the model has a row for
  const padId = [words.padTokenId, words.eosTokenId].find((id) => id !== null && id < request.vocabSize) ?? 0;
  return { kept: made.kept.values(), records: made.records.values(), report, padId };
}

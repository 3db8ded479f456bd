/** @file Text and records as sequences of tokens: read, tokenised, cut, labelled. The long part of opening data: prepare.ts runs it in a worker. */

import { at, EbbError, invariant } from '../errors.ts';
import { type DataRecord, type FieldNames, openDataset } from '../formats/dataset.ts';
import { chatLessons } from '../tokenizer/chat.ts';
import type { Encoded } from '../tokenizer/engine.ts';
import { framingText, prefixFor, suffixFor } from '../tokenizer/framing.ts';
import { completionLesson, endingText, type Labelled, type Lesson, labelled } from '../tokenizer/lessons.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import { tryTokenizer } from '../tokenizer/trial.ts';
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
function lessonsOf(where: string, record: DataRecord, tokenizer: Tokenizer): readonly Lesson[] {
  if (!('messages' in record)) return [completionLesson(record.prompt ?? '', record.completion)];
  try {
    return chatLessons(tokenizer.templates, record);
  } catch (error) {
    throw error instanceof EbbError ? new EbbError(`${where}: ${error.message}`, error.code) : error;
  }
}

/** Tokens and labels cut at `length`, or null where nothing that is left is learnt: the first token is predicted from nothing. */
function cut({ ids, labels }: Labelled, length: number): Sequence | null {
  const learnt = labels.slice(0, length);
  return learnt.slice(1).some((label) => label >= 0) ? { tokens: Int32Array.from(ids.slice(0, length)), labels: Int32Array.from(learnt) } : null;
}

/** Why a lesson of which nothing is learnt teaches nothing. */
function lackOf({ labels }: Labelled): Lack {
  if (labels.every((label) => label < 0)) return 'nothing';
  return labels.slice(1).some((label) => label >= 0) ? 'beyond' : 'first';
}

/** A lesson, and the record that it is of. */
interface Placed {
  readonly where: string;
  readonly lesson: Lesson;
}

/** Why nothing of a lesson is learnt. */
type Lack = 'nothing' | 'beyond' | 'first';

/** Sequences, and what there is to say of them. */
interface Counted {
  readonly sequences: Sequence[];
  cut: number;
  /** How many were left out, by the reason. */
  readonly leftOut: Map<Lack, number>;
  /** How those that are learnt begin and end, and how many of them. */
  readonly endings: Map<string, number>;
  /** Tokens of texts, how many of these are unknown ones, and how many texts became no token, or unknown ones alone. */
  tokens: number;
  unknown: number;
  texts: number;
  uncovered: number;
}

const newCounts = (): Counted => ({ sequences: [], cut: 0, leftOut: new Map(), endings: new Map(), tokens: 0, unknown: 0, texts: 0, uncovered: 0 });

function countOne<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Counts what of a text the vocabulary does not cover. White space alone may become nothing. */
function countTokens(text: string, { ids }: Encoded, { unknownTokenId, token }: Tokenizer, counted: Counted): void {
  const name = unknownTokenId === null ? undefined : token(unknownTokenId);
  // a text may name the token itself
  if (text.trim() === '' || (name !== undefined && text.includes(name))) return;
  const unknown = ids.filter((id) => id === unknownTokenId).length;
  counted.texts++;
  counted.tokens += ids.length;
  counted.unknown += unknown;
  if (unknown === ids.length) counted.uncovered++;
}

async function encodeAll(placed: readonly Placed[], words: Tokenizer, { length, vocabSize }: SequenceRequest, counted: Counted): Promise<void> {
  const encoded = await encodedAt(placed, words);
  for (const [i, { where, lesson }] of placed.entries()) {
    const whole = labelled(lesson, at(encoded, i), words);
    countTokens(lesson.text, at(encoded, i), words, counted);
    const sequence = cut(whole, length);
    if (!sequence) {
      countOne(counted.leftOut, lackOf(whole));
      continue;
    }
    countOne(counted.endings, lesson.isFramed ? framingText(words.framing, words.token) : endingText(whole, words));
    if (whole.ids.length > length) counted.cut++;
    await checkRows(where, sequence.tokens, words, vocabSize);
    counted.sequences.push(sequence);
  }
}

/** @throws EbbError naming the record whose text cannot be encoded */
async function encodedAt(placed: readonly Placed[], words: Tokenizer): Promise<readonly Encoded[]> {
  const broken = placed.find(({ lesson }) => !isWhole(lesson.text));
  if (broken) throw new EbbError(`${broken.where}: ${halfPair(broken.lesson.text)}`, 'input');
  try {
    return await words.encode(placed.map(({ lesson }) => lesson.text));
  } catch (error) {
    if (!(error instanceof EbbError)) throw error;
    // which one of them it is, only trying tells
    for (const { where, lesson } of placed)
      await words.encode([lesson.text]).catch((own: unknown) => {
        throw own instanceof EbbError ? new EbbError(`${where}: ${own.message}`, own.code) : own;
      });
    throw error;
  }
}

/** Texts that are encoded at once: as many as keep all cores at work. */
const AT_ONCE = 512;

const REASONS: Readonly<Record<Lack, (length: number) => string>> = {
  nothing: () => 'nothing of them is to be learnt (no answer, an empty one, or one that is not to be)',
  beyond: (length) => `what is to be learnt of them lies beyond ${length} tokens`,
  first: () => 'nothing of them is learnt but their first token, which nothing comes before',
};

/** Why sequences were left out, with how many. */
const reasonsText = ({ leftOut }: Counted, length: number): readonly string[] =>
  [...leftOut].map(([lack, count]) => `${count} left out, since ${REASONS[lack](length)}`);

/** Says what was cut and left out; nothing where all is whole. */
function countsText(path: string, length: number, counted: Counted): readonly string[] {
  const { sequences, cut, leftOut } = counted;
  if (cut === 0 && leftOut.size === 0) return [];
  const parts = [`${sequences.length} sequences are learnt`, ...(cut > 0 ? [`${cut} of them cut at ${length} tokens`] : []), ...reasonsText(counted, length)];
  return [`${path}: ${parts.join(', ')}`];
}

/** Says how what is learnt begins and ends: each kind with how many are of it, where there are several. */
function endingsText(path: string, { endings }: Counted): readonly string[] {
  return [...endings].map(([text, count]) => `${path}: ${endings.size === 1 ? '' : `of ${count} sequence${count === 1 ? '' : 's'}: `}${text}`);
}

/** Says what of the texts the vocabulary does not cover. @throws EbbError where it covers nothing of any text */
function coverageText({ path, tokenizer }: SequenceRequest, { token, unknownTokenId }: Tokenizer, counted: Counted): readonly string[] {
  const { texts, uncovered, tokens, unknown } = counted;
  const name = unknownTokenId === null ? '' : (token(unknownTokenId) ?? `token ${unknownTokenId}`);
  const becomes = unknown === 0 ? 'no token' : `no token but ${name}`;
  if (texts > 0 && uncovered === texts)
    throw new EbbError(
      `${path}: every text becomes ${becomes}, since the vocabulary of ${tokenizer} covers none of it; use the tokenizer that is for this text`,
      'input',
    );
  return [
    ...(unknown > 0 ? [`${path}: ${unknown} of ${tokens} tokens are ${name}, for text that the vocabulary does not cover`] : []),
    ...(uncovered > 0 ? [`${path}: ${uncovered} of ${texts} texts become ${becomes}, since the vocabulary covers nothing of them`] : []),
  ];
}

/** What was found, and what is said where it is nothing. */
interface Found extends Pick<Tokenised, 'sequences' | 'notes'> {
  readonly lack: string;
}

async function recordSequences(records: Iterable<DataRecord>, words: Tokenizer, request: SequenceRequest): Promise<Found> {
  const { path, length, limit = Number.POSITIVE_INFINITY } = request;
  const counted = newCounts();
  let waiting: Placed[] = [];
  let read = 0;
  for (const record of records) {
    if (read++ >= limit) break;
    const where = `${path}: record ${read}`;
    waiting.push(...lessonsOf(where, record, words).map((lesson) => ({ where, lesson })));
    if (waiting.length < AT_ONCE) continue;
    await encodeAll(waiting, words, request, counted);
    waiting = [];
  }
  await encodeAll(waiting, words, request, counted);
  const coverage = coverageText(request, words, counted);
  return {
    sequences: counted.sequences,
    notes: [...endingsText(path, counted), ...countsText(path, length, counted), ...coverage],
    lack: reasonsText(counted, length).join(', '),
  };
}

/** The pieces of a text, which begins and ends as texts do. */
async function textSequences(text: string, words: Tokenizer, request: SequenceRequest): Promise<Found> {
  const { path, length, limit, vocabSize } = request;
  if (!isWhole(text)) throw new EbbError(`${path}: ${halfPair(text)}`, 'input');
  const counted = newCounts();
  const [encoded] = await words.encode([text]);
  const ids = encoded?.ids ?? [];
  if (encoded) countTokens(text, encoded, words, counted);
  const coverage = coverageText(request, words, counted);
  const whole = [...prefixFor(words.framing, ids), ...ids, ...suffixFor(words.framing, ids)];
  const sequences = chunkTokens(whole, length).slice(0, limit);
  for (const { tokens } of sequences) await checkRows(`${path}: the text`, tokens, words, vocabSize);
  return { sequences, notes: [`${path}: ${framingText(words.framing, words.token)}`, ...coverage], lack: 'it has too few tokens' };
}

/** @throws EbbError naming the file when nothing in it can be learnt, for a token the model has no row for, and for a tokenizer that is missing */
export async function tokenise(request: SequenceRequest): Promise<Tokenised> {
  const { path, length, fields } = request;
  const dataset = openDataset(path, fields);
  invariant(dataset.kind !== 'batches', `${path} holds batches`);
  const words = await openTokenizer(request.tokenizer, request);
  await tryTokenizer(words);
  const { sequences, notes, lack } = await (dataset.kind === 'text'
    ? textSequences(dataset.text, words, request)
    : recordSequences(dataset.records(), words, request));
  if (sequences.length === 0) {
    const hint = lack.includes(REASONS.beyond(length)) ? '; raise the length' : '';
    throw new EbbError(`${path}: no example has a token to learn within ${length} tokens${lack === '' ? '' : `: ${lack}`}${hint}`);
  }
  // what pads is masked, but has to be a token that the model has a row for
  const padId = [words.padTokenId, words.eosTokenId].find((id) => id !== null && id < request.vocabSize) ?? 0;
  return { sequences, notes: [...words.notes, ...notes], padId };
}

/** @file Training examples in JSONL: the first record's fields decide what all records are. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';
import { parseExactJson } from './exactJson.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { readLines } from './lines.ts';

/** An example to learn: the loss is on the completion (and the end-of-text token) only. */
export interface CompletionRecord {
  readonly line: number;
  /** None where the whole text is learnt. */
  readonly prompt: string | null;
  readonly completion: string;
}

/** A message as it was given: who speaks, and whatever the chat template reads besides. */
export type ChatMessage = JsonObject & { readonly role: string };

/** A conversation: the loss is on what the assistant says. */
export interface ChatRecord {
  readonly line: number;
  readonly messages: readonly ChatMessage[];
  /** The other fields of the record, such as `tools`. */
  readonly fields: JsonObject;
}

export type DataRecord = CompletionRecord | ChatRecord;

/** Names of the fields to take, where they are not the usual ones. */
export interface FieldNames {
  readonly text?: string | undefined;
  readonly prompt?: string | undefined;
  readonly completion?: string | undefined;
}

/** What the records of a file are. */
export type RecordKind =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string; readonly separator: string }
  | { readonly kind: 'chat' };

const EXPECTED = 'text, or prompt and completion, or question and answer, or messages';

function parseRecord(where: string, text: string): JsonObject {
  let value: Json;
  try {
    value = parseExactJson(text);
  } catch (error) {
    throw new EbbError(`${where}: is not valid JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value)) throw new EbbError(`${where}: is ${show(value)}, expected a JSON object`);
  return value;
}

/** The kind of records a file has, from the fields of its first and the names the user gave. */
function kindOf(where: string, first: JsonObject, names: FieldNames): RecordKind {
  if (names.text !== undefined) return { kind: 'text', text: names.text };
  if (names.prompt !== undefined || names.completion !== undefined) {
    return { kind: 'completion', prompt: names.prompt ?? 'prompt', completion: names.completion ?? 'completion', separator: '' };
  }
  const has = (name: string): boolean => Object.hasOwn(first, name);
  if (has('text')) return { kind: 'text', text: 'text' };
  if (has('prompt') && has('completion')) return { kind: 'completion', prompt: 'prompt', completion: 'completion', separator: '' };
  // A question and its answer are separate texts: a line break keeps them apart.
  if (has('question') && has('answer')) return { kind: 'completion', prompt: 'question', completion: 'answer', separator: '\n' };
  if (has('messages')) return { kind: 'chat' };
  throw new EbbError(
    `${where}: has the fields ${Object.keys(first).slice(0, 6).map(show).join(', ') || '(none)'}, expected ${EXPECTED} (or name the fields in the configuration)`,
  );
}

function textField(where: string, record: JsonObject, name: string): string {
  const value = record[name];
  if (typeof value === 'string') return value;
  throw new EbbError(`${where}: ${name} is ${value === undefined ? 'missing' : show(value)}, expected a text`);
}

/** @throws EbbError for words that are neither a text nor parts, where no call stands in their place */
function checkContent(where: string, { content, tool_calls: calls, function_call: call }: JsonObject): void {
  const called = (Array.isArray(calls) && calls.length > 0) || isObject(call);
  if (typeof content === 'string' || Array.isArray(content) || isObject(content) || (called && (content === null || content === undefined))) return;
  throw new EbbError(`${where}.content is ${content === undefined ? 'missing' : show(content)}, expected a text, or a list of parts`);
}

function readMessages(where: string, value: Json | undefined): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new EbbError(`${where}: messages is ${value === undefined ? 'missing' : show(value)}, expected a list of at least one message`);
  return value.map((message, i) => {
    if (!isObject(message)) throw new EbbError(`${where}: messages[${i}] is ${show(message)}, expected an object with role and content`);
    const { role } = message;
    if (typeof role !== 'string' || role === '')
      throw new EbbError(`${where}: messages[${i}].role is ${role === undefined ? 'missing' : show(role)}, expected who speaks, such as user or assistant`);
    checkContent(`${where}: messages[${i}]`, message);
    return { ...message, role };
  });
}

function toRecord(where: string, line: number, kind: RecordKind, record: JsonObject): DataRecord {
  if (kind.kind === 'chat') {
    const { messages, ...fields } = record;
    return { line, messages: readMessages(where, messages), fields };
  }
  if (kind.kind === 'text') return { line, prompt: null, completion: textField(where, record, kind.text) };
  return { line, prompt: textField(where, record, kind.prompt) + kind.separator, completion: textField(where, record, kind.completion) };
}

/**
 * The records of a JSONL file, one at a time; blank lines are skipped. Every error names the line.
 * Throws where there is no record at all.
 */
export function* readRecords(path: string, names: FieldNames = {}): Generator<DataRecord> {
  let kind: RecordKind | undefined;
  for (const { number, text } of readLines(path)) {
    if (text.trim() === '') continue;
    const where = `${path}: line ${number}`;
    const record = parseRecord(where, text);
    kind ??= kindOf(where, record, names);
    yield toRecord(where, number, kind, record);
  }
  if (!kind) throw new EbbError(`${path}: holds no examples, expected a JSON object a line with ${EXPECTED}`);
}

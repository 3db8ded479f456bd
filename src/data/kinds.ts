/** @file What records are, told by their fields: texts, completions, conversations, instructions. One row a kind. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { parseExactJson } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { FieldName } from './fieldNames.ts';

/** A text that is learnt behind a prompt that is not; without a prompt it is learnt whole. */
export interface CompletionExample {
  readonly prompt: string | null;
  readonly completion: string;
}

/** A message as it was given: who speaks, and whatever the chat template reads besides. */
export type ChatMessage = JsonObject & { readonly role: string };

/** A conversation, of which the assistant's words are learnt. */
export interface ChatExample {
  readonly messages: readonly ChatMessage[];
  /** The other fields of the record, such as `tools`, which the chat template may read. */
  readonly fields: JsonObject;
}

export type Example = CompletionExample | ChatExample;

/** Reads the value of a field by the name that it has here. */
type Take = (name: FieldName) => Json | undefined;

/** A kind of records. */
export interface RecordKind {
  /** What it is called in messages. */
  readonly title: string;
  /** The fields that tell it. */
  readonly needs: readonly FieldName[];
  /** Further fields that it reads. */
  readonly takes: readonly FieldName[];
  /** Whether a chat template reads all other fields of the record. */
  readonly isOpen: boolean;
  readonly read: (where: string, take: Take, others: () => JsonObject) => Example;
}

/** @throws EbbError where a field is no text */
function textAt(where: string, name: string, value: Json | undefined): string {
  if (typeof value === 'string') return value;
  throw new EbbError(`${where}: ${name} is ${value === undefined ? 'missing' : show(value)}, expected a text`);
}

/** @throws EbbError for words that are neither a text nor parts, where no call stands in their place */
function checkContent(where: string, { content, tool_calls: calls, function_call: call }: JsonObject): void {
  const called = (Array.isArray(calls) && calls.length > 0) || isObject(call);
  if (typeof content === 'string' || Array.isArray(content) || isObject(content) || (called && (content === null || content === undefined))) return;
  throw new EbbError(`${where}.content is ${content === undefined ? 'missing' : show(content)}, expected a text, or a list of parts`);
}

/** Who speaks in conversations of ShareGPT; other roles are called the same there. */
const SHAREGPT_ROLES: Readonly<Record<string, string>> = { human: 'user', gpt: 'assistant', chatgpt: 'assistant', bing: 'assistant', bard: 'assistant' };

/** A message with role and content; ShareGPT calls them from and value. */
function withRole(message: JsonObject): JsonObject {
  const { from, value, ...rest } = message;
  if (Object.hasOwn(message, 'role') || typeof from !== 'string') return message;
  const role = Object.hasOwn(SHAREGPT_ROLES, from) ? SHAREGPT_ROLES[from] : from;
  return { ...rest, role: role ?? from, ...(value === undefined ? {} : { content: value }) };
}

/** A list of objects that stands in a table as JSON text. Other texts stay as they are, also those that are JSON. */
function listed(value: Json | undefined): Json | undefined {
  if (typeof value !== 'string' || !value.trimStart().startsWith('[')) return value;
  try {
    const found = parseExactJson(value);
    return Array.isArray(found) && found.every(isObject) ? found : value;
  } catch {
    return value;
  }
}

/** A list of messages, also as JSON text. */
function isMessages(value: Json | undefined): boolean {
  const list = listed(value);
  return (
    Array.isArray(list) && (typeof value !== 'string' || list.every((item) => isObject(item) && (Object.hasOwn(item, 'role') || Object.hasOwn(item, 'from'))))
  );
}

/** The other fields of a conversation: tools that are given as JSON text are what the text says. */
function withTools(fields: JsonObject): JsonObject {
  const tools = listed(fields['tools']);
  return tools === undefined ? fields : { ...fields, tools };
}

/** @throws EbbError for what is no list of messages */
function messagesAt(where: string, name: string, given: Json | undefined): ChatMessage[] {
  const value = listed(given);
  if (!Array.isArray(value) || value.length === 0)
    throw new EbbError(`${where}: ${name} is ${value === undefined ? 'missing' : show(value)}, expected a list of at least one message`);
  return value.map((item, i) => {
    const place = `${where}: ${name}[${i}]`;
    if (!isObject(item)) throw new EbbError(`${place} is ${show(item)}, expected an object with role and content`);
    const message = withRole(item);
    const { role } = message;
    if (typeof role !== 'string' || role === '')
      throw new EbbError(`${place}.role is ${role === undefined ? 'missing' : show(role)}, expected who speaks, such as user or assistant`);
    checkContent(place, message);
    return { ...message, role };
  });
}

/** A prompt and what follows it: as texts, or both as messages (TRL's form), of which the completion's are learnt. */
function promptAndCompletion(where: string, take: Take, others: () => JsonObject): Example {
  const [prompt, completion] = [take('prompt'), take('completion')];
  if (!isMessages(prompt) && !isMessages(completion)) return { prompt: textAt(where, 'prompt', prompt), completion: textAt(where, 'completion', completion) };
  const before = messagesAt(where, 'prompt', prompt).map((message): ChatMessage => ({ ...message, train: false }));
  return { messages: [...before, ...messagesAt(where, 'completion', completion)], fields: withTools(others()) };
}

/** Instructions as Alpaca has them: the input stands on lines of its own below the instruction. */
function instruction(where: string, take: Take): ChatExample {
  const [input, system] = [take('input') ?? '', take('system') ?? ''];
  const asked = textAt(where, 'instruction', take('instruction'));
  const more = textAt(where, 'input', input);
  const rules = textAt(where, 'system', system);
  return {
    messages: [
      ...(rules === '' ? [] : [{ role: 'system', content: rules }]),
      { role: 'user', content: more === '' ? asked : `${asked}\n${more}` },
      { role: 'assistant', content: textAt(where, 'output', take('output')) },
    ],
    fields: {},
  };
}

/** The kinds. */
export const RECORD_KINDS: readonly RecordKind[] = [
  {
    title: 'conversations',
    needs: ['messages'],
    takes: [],
    isOpen: true,
    read: (where, take, others) => ({ messages: messagesAt(where, 'messages', take('messages')), fields: withTools(others()) }),
  },
  {
    title: 'conversations (ShareGPT)',
    needs: ['conversations'],
    takes: ['system'],
    isOpen: true,
    read(where, take, others) {
      const system = take('system');
      const rules = system === undefined || system === '' ? [] : [{ role: 'system', content: textAt(where, 'system', system) }];
      return { messages: [...rules, ...messagesAt(where, 'conversations', take('conversations'))], fields: withTools(others()) };
    },
  },
  { title: 'prompts and completions', needs: ['prompt', 'completion'], takes: [], isOpen: false, read: promptAndCompletion },
  {
    title: 'questions and answers',
    needs: ['question', 'answer'],
    takes: [],
    isOpen: false,
    // a question and its answer are texts of their own: a line break keeps them apart
    read: (where, take) => ({ prompt: `${textAt(where, 'question', take('question'))}\n`, completion: textAt(where, 'answer', take('answer')) }),
  },
  { title: 'instructions (Alpaca)', needs: ['instruction', 'output'], takes: ['input', 'system'], isOpen: false, read: instruction },
  {
    title: 'texts',
    needs: ['text'],
    takes: [],
    isOpen: false,
    read: (where, take) => ({ prompt: null, completion: textAt(where, 'text', take('text')) }),
  },
];

/** The fields of every kind, for messages. */
export const KINDS_TEXT = RECORD_KINDS.map(({ needs }) => needs.join(' and ')).join(', or ');

/** @file Text to token ids and back, and chat templates: Hugging Face's tokenizer and Jinja libraries behind one small interface. */

import { Template } from '@huggingface/jinja';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { ChatMessage } from '../formats/records.ts';
import { checkTokenizerJson } from './checkJson.ts';
import type { TokenizerFields } from './gguf.ts';

/** A checkpoint's tokenizer: text to token ids and back, and conversations to text. */
export interface Tokenizer {
  /** Where it was read from. */
  readonly path: string;
  /** One more than the largest id. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly padTokenId: number | null;
  /** Jinja source, where the checkpoint has one. */
  readonly chatTemplate: string | null;
  /** Ids of a text; with `special`, the tokens the tokenizer puts around every text (such as a beginning of text) too. Default: without. */
  readonly encode: (text: string, options?: { special?: boolean }) => number[];
  /** Text of ids; with `skipSpecial`, without special tokens. Ids the tokenizer does not have are left out. */
  readonly decode: (ids: readonly number[], options?: { skipSpecial?: boolean }) => string;
  readonly tokenId: (token: string) => number | undefined;
  readonly token: (id: number) => string | undefined;
  /** The text of a conversation by the chat template; throws where there is none. */
  readonly renderChat: (messages: readonly ChatMessage[], options?: { addGenerationPrompt?: boolean }) => string;
}

/** A token is a string, or (in older files) an object with its content. */
function tokenName(value: Json | undefined): string | null {
  const content = isObject(value) ? value['content'] : value;
  return typeof content === 'string' ? content : null;
}

function templateOf(config: JsonObject): string | null {
  const value = config['chat_template'];
  if (typeof value === 'string') return value;
  const named = Array.isArray(value) ? value.find((entry) => isObject(entry) && entry['name'] === 'default') : undefined;
  return isObject(named) && typeof named['template'] === 'string' ? named['template'] : null;
}

/** The library's byte-fallback decoder drops a byte order mark that the text had; the reference keeps it. */
function keepByteOrderMarks(decoder: unknown): void {
  if (typeof decoder !== 'function' && (typeof decoder !== 'object' || decoder === null)) return;
  const inner: unknown = Reflect.get(decoder, 'decoders');
  if (Array.isArray(inner)) inner.forEach(keepByteOrderMarks);
  if (Reflect.get(decoder, 'text_decoder') instanceof TextDecoder) Reflect.set(decoder, 'text_decoder', new TextDecoder('utf-8', { ignoreBOM: true }));
}

function construct(path: string, json: JsonObject, config: JsonObject): LibraryTokenizer {
  try {
    const library = new LibraryTokenizer(json, { clean_up_tokenization_spaces: false, ...config });
    keepByteOrderMarks(library.decoder);
    return library;
  } catch (error) {
    throw new EbbError(`${path}: the tokenizer cannot be built: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function chatRenderer(path: string, source: string | null, config: JsonObject): Tokenizer['renderChat'] {
  let template: Template | undefined;
  return (messages, options) => {
    if (source === null) throw new EbbError(`${path}: has no chat template, expected one for a conversation (use prompt and completion instead)`);
    try {
      template ??= new Template(source);
      return template.render({
        ...Object.fromEntries(['bos_token', 'eos_token', 'unk_token', 'pad_token'].map((name) => [name, tokenName(config[name]) ?? ''])),
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: options?.addGenerationPrompt ?? false,
      });
    } catch (error) {
      throw new EbbError(`${path}: the chat template refuses the conversation: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
}

/** A tokenizer from the fields of tokenizer.json and tokenizer_config.json; `path` begins every error. */
export function buildTokenizer(path: string, { json, config }: TokenizerFields): Tokenizer {
  const checked = checkTokenizerJson(path, json);
  const library = construct(path, checked, config);
  const { model } = library;
  if (!model) throw new EbbError(`${path}: the tokenizer cannot be built: it has no model`);
  const id = (name: string): number | null => {
    const token = tokenName(config[name]);
    return token === null ? null : (library.token_to_id(token) ?? null);
  };
  const chatTemplate = templateOf(config);
  const cleanUp = config['clean_up_tokenization_spaces'] === true;
  return {
    path,
    vocabSize: model.vocab.length,
    bosTokenId: id('bos_token'),
    eosTokenId: id('eos_token'),
    padTokenId: id('pad_token'),
    chatTemplate,
    encode: (text, options) => {
      const { ids } = library.encode(text, { add_special_tokens: options?.special ?? false });
      return ids.filter((token: number | undefined) => token !== undefined);
    },
    decode: (ids, options) => {
      const known = ids.filter((token) => library.id_to_token(token) !== undefined);
      if (known.length === 0) return '';
      return library.decode(known, { skip_special_tokens: options?.skipSpecial ?? false, clean_up_tokenization_spaces: cleanUp });
    },
    tokenId: (token) => library.token_to_id(token),
    token: (token) => library.id_to_token(token),
    renderChat: chatRenderer(path, chatTemplate, config),
  };
}

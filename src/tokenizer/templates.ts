/** @file Chat templates: those that a checkpoint has, the one that a record takes, and what it renders. */

import { EbbError } from '../errors.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { type Rendered, type Renderer, renderer } from './jinja.ts';

/** A conversation. */
export interface Conversation {
  readonly messages: readonly JsonObject[];
  /** The other fields of its record, such as `tools`, which templates may read. */
  readonly fields: JsonObject;
}

export interface RenderOptions {
  /** Whether the words that open an answer are written behind the messages. */
  readonly addGenerationPrompt: boolean;
  /** Further variables of the template. */
  readonly variables?: JsonObject | undefined;
  /** The time that the template's strftime_now tells. Default: now. */
  readonly now?: Date | undefined;
}

/** The chat templates of a checkpoint. */
export interface ChatTemplates {
  /** `default` where there is only one. */
  readonly names: readonly string[];
  /** Renders a conversation. @throws EbbError where there is no template for it, and in the words of a template that refuses it */
  render(conversation: Conversation, options: RenderOptions): Rendered;
}

const isEntry = (value: Json): value is JsonObject => isObject(value) && typeof value['name'] === 'string' && typeof value['template'] === 'string';

/** The templates in `chat_template` of tokenizer_config.json: a text, a list of names and templates, or templates by their names. @throws EbbError for anything else */
export function templatesOf(where: string, value: Json | undefined): ReadonlyMap<string, string> {
  if (value === undefined || value === null) return new Map();
  if (typeof value === 'string') return new Map([['default', value]]);
  if (Array.isArray(value) && value.every(isEntry)) return new Map(value.map((entry): [string, string] => [String(entry['name']), String(entry['template'])]));
  const entries = isObject(value) ? Object.entries(value) : [];
  if (entries.length > 0 && entries.every(([, template]) => typeof template === 'string'))
    return new Map(entries.map(([name, template]): [string, string] => [name, String(template)]));
  throw new EbbError(`${where}: chat_template is none; expected a text, a list of {name, template}, or templates by their names`, 'file');
}

/** A token is a text, or, in older files, an object with its content. */
export function tokenName(value: Json | undefined): string | null {
  const content = isObject(value) ? value['content'] : value;
  return typeof content === 'string' ? content : null;
}

/** The special tokens that tokenizer_config.json names, as variables of templates. */
function tokenVariables(config: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]): [string, string][] => {
      const name = /^\w+_token$/.test(key) ? tokenName(value) : null;
      return name === null ? [] : [[key, name]];
    }),
  );
}

/** A message as templates get it: keys that are null are absent, and thoughts go by the name that templates read. */
function cleanMessage(message: JsonObject): JsonObject {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  const thoughts = given['thinking'] ?? given['reasoning'];
  return thoughts === undefined || given['reasoning_content'] !== undefined ? given : { ...given, reasoning_content: thoughts };
}

/** The name of the template that a record takes, as transformers chooses it. @throws EbbError where none is for it */
function chosen(path: string, sources: ReadonlyMap<string, string>, hasTools: boolean): string {
  if (sources.size === 0)
    throw new EbbError(
      `${path}: has no chat template, expected one for a conversation; give one by chatTemplate (--chat-template), or use prompt and completion instead`,
      'file',
    );
  if (hasTools && sources.has('tool_use')) return 'tool_use';
  if (sources.has('default')) return 'default';
  throw new EbbError(
    `${path}: has chat templates named ${[...sources.keys()].join(', ')}, and none is called default; name one by chatTemplate (--chat-template)`,
    'file',
  );
}

/** @param path begins every error @param config the fields of tokenizer_config.json */
export function chatTemplates(path: string, sources: ReadonlyMap<string, string>, config: JsonObject): ChatTemplates {
  const renderers = new Map<string, Renderer>();
  const tokens = tokenVariables(config);
  return {
    names: [...sources.keys()],
    render({ messages, fields: record }, { addGenerationPrompt, variables = {}, now = new Date() }) {
      const { tools = null, documents = null } = record;
      const name = chosen(path, sources, Array.isArray(tools) && tools.length > 0);
      try {
        const template = renderers.get(name) ?? renderer(sources.get(name) ?? '');
        renderers.set(name, template);
        const fields = {
          ...tokens,
          ...record,
          messages: messages.map(cleanMessage),
          tools,
          documents,
          add_generation_prompt: addGenerationPrompt,
          ...variables,
        };
        return template.render(fields, now);
      } catch (error) {
        throw new EbbError(`${path}: the chat template refuses the conversation: ${error instanceof Error ? error.message : String(error)}`, 'file');
      }
    },
  };
}

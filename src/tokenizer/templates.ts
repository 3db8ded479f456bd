/** @file Chat templates: those that a checkpoint has, the one that a record takes, and what it renders. */

import { EbbError } from '../errors.ts';
import { show } from '../formats/bytes.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import { type Rendered, type Renderer, renderer, TemplateError } from './jinja.ts';

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
  /** The time that the template's strftime_now tells. Default: when the tokenizer was opened, so that all conversations of a run have the same. */
  readonly now?: Date | undefined;
}

/** The chat templates of a checkpoint. */
export interface ChatTemplates {
  /** `default` where there is only one. */
  readonly names: readonly string[];
  /** The texts that the expressions of a record's template hold, such as the roles that it tells apart. @throws EbbError where there is no template for it */
  texts(fields: JsonObject): ReadonlySet<string>;
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

/** Names of an answer's thoughts. The first is the one that most templates read. */
const THOUGHTS: readonly string[] = ['reasoning_content', 'thinking', 'reasoning'];

/** A message as templates get it from transformers: keys that are null are absent, and thoughts go by all names that templates read. */
function cleanMessage(message: JsonObject): JsonObject {
  const given = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null));
  const thoughts = THOUGHTS.map((name) => given[name]).find((value) => value !== undefined);
  return thoughts === undefined ? given : { thinking: thoughts, ...given, reasoning_content: thoughts };
}

/** Why a template failed, kept beside the message of an error. */
const causeOf = (error: unknown): unknown => (error instanceof EbbError ? error.cause : undefined);

/** Whether a template failed because a value is of a type that it does not expect. */
export function failedByType(error: unknown): boolean {
  const cause = causeOf(error);
  return cause instanceof TemplateError && cause.kind === 'TypeError';
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

/** Variables of its template that a record gives: `chat_template_kwargs`, as other tools call the column. @throws EbbError for what is no object */
function recordVariables({ chat_template_kwargs: given = null }: JsonObject): JsonObject {
  if (given === null) return {};
  if (!isObject(given)) throw new EbbError(`chat_template_kwargs is ${show(given)}, expected an object with variables of the chat template`);
  return given;
}

/** @param path begins every error @param config the fields of tokenizer_config.json */
export function chatTemplates(path: string, sources: ReadonlyMap<string, string>, config: JsonObject): ChatTemplates {
  const renderers = new Map<string, Renderer>();
  const tokens = tokenVariables(config);
  const opened = new Date();

  /** Does something with the template of a record. */
  const withTemplate = <T>({ tools = null }: JsonObject, what: string, use: (template: Renderer) => T): T => {
    const name = chosen(path, sources, tools !== null);
    try {
      const template = renderers.get(name) ?? renderer(sources.get(name) ?? '');
      renderers.set(name, template);
      return use(template);
    } catch (error) {
      const which = sources.size > 1 ? `the chat template ${name}` : 'the chat template';
      const reason = error instanceof Error ? error.message : String(error);
      throw Object.assign(new EbbError(`${path}: ${which} ${what}: ${reason}`, 'file'), { cause: error });
    }
  };

  return {
    names: [...sources.keys()],
    texts: (fields) => withTemplate({ ...fields, ...recordVariables(fields) }, 'cannot be read', ({ texts }) => texts),
    render({ messages, fields: record }, { addGenerationPrompt, variables = {}, now = opened }) {
      const { chat_template_kwargs: _, ...others } = record;
      const given = { ...others, ...recordVariables(record) };
      const { tools = null, documents = null } = given;
      const fields = {
        ...tokens,
        ...given,
        messages: messages.map(cleanMessage),
        tools,
        documents,
        add_generation_prompt: addGenerationPrompt,
        ...variables,
      };
      return withTemplate(given, 'refuses the conversation', (template) => template.render(fields, now));
    },
  };
}

/**
 * @file Renders templates as Jinja2 does in the environment that transformers sets up: its lexer, its grammar and Python's values, in
 * small files in `jinja/`. What Jinja2 refuses is refused, and what is not here is refused by name.
 */

import { exactKey, exactNumber } from '../formats/exactJson.ts';
import { isObject, type Json, type JsonObject } from '../formats/json.ts';
import type { Span } from './engine.ts';
import { raise } from './jinja/failure.ts';
import { globalsAt } from './jinja/globals.ts';
import { parseTemplate } from './jinja/parse.ts';
import { type Output, run } from './jinja/render.ts';
import type { Scope } from './jinja/scope.ts';
import { dictOf, list, type Value } from './jinja/values.ts';

export { TemplateError } from './jinja/failure.ts';

/** A text that a template wrote. */
export interface Rendered {
  readonly text: string;
  /** What stands between `{% generation %}` and `{% endgeneration %}`; null for a template without them. */
  readonly blocks: readonly Span[] | null;
}

export interface Renderer {
  /** @throws TemplateError where Jinja2 raises an error, and for what is not supported */
  render(fields: JsonObject, now: Date): Rendered;
  /** All texts that the template's expressions hold, such as the roles that it tells apart. */
  readonly texts: ReadonlySet<string>;
}

/** A value of a record as Python reads it: numbers and keys as they were written. */
function pythonValue(value: Json): Value {
  const number = exactNumber(value) ?? (typeof value === 'number' ? String(value) : undefined);
  if (number !== undefined) return /^-?\d+$/.test(number) ? BigInt(number) : Number(number);
  if (Array.isArray(value)) return list(value.map(pythonValue));
  if (isObject(value)) return dictOf(Object.entries(value).map(([key, inner]) => [exactKey(key), pythonValue(inner ?? null)] as const));
  return value as Exclude<Json, number | Json[] | JsonObject>;
}

/** A template that can be rendered. @throws TemplateError for what is no template */
export function renderer(source: string): Renderer {
  const { body, hasGeneration, texts } = parseTemplate(source);
  return {
    texts,
    render(fields, now) {
      const globals: Scope = { variables: new Map(globalsAt(now)), around: null };
      for (const [name, value] of Object.entries(fields)) globals.variables.set(exactKey(name), pythonValue(value ?? null));
      const output: Output & { readonly blocks: Span[] } = { text: '', blocks: [] };
      try {
        if (run(body, { variables: new Map(), around: globals }, output)) raise('TemplateSyntaxError', '{% break %} or {% continue %} outside of a loop');
      } catch (error) {
        // deeper than JavaScript calls, or longer than its texts are: Python has bounds of its own
        if (error instanceof RangeError) raise(error.message.includes('call stack') ? 'RecursionError' : 'OverflowError', error.message);
        throw error;
      }
      return { text: output.text, blocks: hasGeneration ? output.blocks : null };
    },
  };
}

/** @file Templates against Jinja2 as transformers sets it up (goldens/jinja.py made the golden file): the same text, or a refusal. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExactJson, plainJson } from '../../src/formats/exactJson.ts';
import type { JsonObject } from '../../src/formats/json.ts';
import { renderer, TemplateError } from '../../src/tokenizer/jinja.ts';

interface Golden {
  readonly fields: JsonObject;
  readonly cases: readonly { readonly source: string; readonly text?: string; readonly error?: string }[];
}

const { fields, cases } = parseExactJson(readFileSync(join(__dirname, 'goldens/jinja.json'), 'utf8')) as unknown as Golden;
const NOW = new Date('2026-03-05T14:07:09');

const render = (source: string, given: JsonObject = fields) => renderer(source).render(given, NOW);

it.each(cases.map((golden) => [golden.source, golden] as const))('%j', (source, { text }) => {
  if (text === undefined) expect(() => render(source)).toThrow(TemplateError);
  else expect(render(source).text).toBe(text);
});

it.each(['{{ self }}', '{{ lipsum() }}', '{{ nums|map("upper") }}', '{{ nested.keys }}', '{{ n|filesizeformat }}', '{% include "x" %}', '{{ name.encode() }}'])(
  'what Jinja2 has and this engine does not is refused by name: %s',
  (source) => expect(() => render(source)).toThrow(/is not supported$/),
);

it('a template that calls itself without end is refused', () => {
  expect(() => render('{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}')).toThrow('RecursionError');
});

it('generation blocks are where they are written, whatever the characters of the conversation, and have a scope of their own', () => {
  const source =
    '{{ x }}[{% generation %}{% set y = x ~ y %}{{ y }}{% endgeneration %}]{{ y }}{% for i in [1, 2] %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}';
  const { text, blocks } = render(source, { x: '\u{f0eb0}\u{f0eb1}😀', y: '.' });
  expect(text).toBe('\u{f0eb0}\u{f0eb1}😀[\u{f0eb0}\u{f0eb1}😀.].12');
  expect(blocks!.map(([from, to]) => text.slice(from, to))).toEqual(['\u{f0eb0}\u{f0eb1}😀.', '1', '2']);
});

it('only a block that is no comment makes a template one of generation blocks, and one whose text becomes a value first is refused', () => {
  expect(render('{# {% generation %} #}{{ "{% generation %}" }}').blocks).toBe(null);
  expect(() => render('{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}')).toThrow('{% generation %} within a macro');
});

it('numbers and keys of a record are written as they were', () => {
  const record = parseExactJson('{"a": {"x": 1.0, "big": 12345678901234567890, "10": 1, "9": [2e3, -0.5], "e": 1e-7, "t": "1.0: \\"2.0\\""}}') as JsonObject;
  const inner = `'x': 1.0, 'big': 12345678901234567890, '10': 1, '9': [2000.0, -0.5], 'e': 1e-07, 't': '1.0: "2.0"'`;
  expect(render('{{ a }}', record).text).toBe(`{${inner}}`);
  expect(render('{{ a|tojson }}', record).text).toBe(
    '{"x": 1.0, "big": 12345678901234567890, "10": 1, "9": [2000.0, -0.5], "e": 1e-07, "t": "1.0: \\"2.0\\""}',
  );
  expect(plainJson(record)).toEqual({ a: { x: 1, big: 12345678901234567000, 10: 1, 9: [2000, -0.5], e: 1e-7, t: '1.0: "2.0"' } });
});

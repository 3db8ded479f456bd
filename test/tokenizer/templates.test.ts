/** @file The template that a record takes, the time that it tells, and what its error names. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MOMENT, momentOf, momentText } from '../../src/run/moment.ts';
import { chatTemplates } from '../../src/tokenizer/templates.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

const MESSAGES = [{ role: 'user', content: 'a' }];
const textOf = (sources: Record<string, string>, fields = {}, options = {}) =>
  chatTemplates('t', new Map(Object.entries(sources)), {}).render({ messages: MESSAGES, fields }, { addGenerationPrompt: false, ...options }).text;

it('a record with tools takes the template for tools, also where there are none in the list', () => {
  const sources = { default: 'plain', tool_use: 'tools {{ tools }}' };
  expect([textOf(sources), textOf(sources, { tools: null }), textOf(sources, { tools: [] })]).toEqual(['plain', 'plain', 'tools []']);
});

it('an error names the template of several, and its line', () => {
  expect(messageOf(() => textOf({ default: 'a\n{{ (1] }}', other: '' }))).toBe(
    "t: the chat template default refuses the conversation: TemplateSyntaxError: line 2: unexpected ']', expected ')'",
  );
});

it('all conversations of an opened tokenizer are told one time', async () => {
  const templates = chatTemplates('t', new Map([['default', '{{ strftime_now("%s.%f") }}']]), {});
  const tell = () => templates.render({ messages: MESSAGES, fields: {} }, { addGenerationPrompt: false }).text;
  const first = tell();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(tell()).toBe(first);
});

it("a run's folder keeps the moment at which it began, as clocks showed it; a file that holds none is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), 'ebb-moment-'));
  expect(Math.abs(momentOf(folder).getTime() - Date.now())).toBeLessThan(10_000);
  const moment = new Date('2026-03-05T14:07:09.123');
  writeFileSync(join(folder, MOMENT), momentText(moment));
  expect(readFileSync(join(folder, MOMENT), 'utf8')).toBe('{"started":"2026-03-05T14:07:09.123"}\n');
  expect(momentOf(folder)).toEqual(moment);
  writeFileSync(join(folder, MOMENT), '{"started": "yesterday"}');
  expect(messageOf(() => momentOf(folder))).toContain('started is "yesterday", expected a local time');
  rmSync(folder, { recursive: true });
});

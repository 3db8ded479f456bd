/** @file Training data: records of every kind with their lines, text, ready batches. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { openDataset, readBatches } from '../../src/formats/dataset.ts';
import { readLines } from '../../src/formats/lines.ts';
import { readRecords } from '../../src/formats/records.ts';
import { writeSafetensors } from '../../src/formats/safetensors.ts';
import { messageOf } from './fixtureFolder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-data-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const records = (content: string, names = {}) => [...readRecords(file('d.jsonl', content), names)];
const lines = (...objects: object[]): string => objects.map((o) => JSON.stringify(o)).join('\n');

describe('lines', () => {
  it('are those of the text, whatever its ends', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'binary' }).filter((s) => !/[\r\n]/.test(s)),
          { minLength: 1, maxLength: 20 },
        ),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        (texts, end, bom) => {
          const whole = texts.map((t) => t.replaceAll(/[\ud800-\udfff]/g, '').replace(/^\ufeff/, ''));
          const found = [...readLines(file('l', `${bom ? '\ufeff' : ''}${whole.map((t) => t + end).join('')}`))];
          expect(found.map((l) => l.text)).toEqual(whole);
          expect(found.map((l) => l.number)).toEqual(whole.map((_, i) => i + 1));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('may be longer than what is read at a time', () => {
    const long = 'é'.repeat(1_500_000);
    expect([...readLines(file('l', `a\n${long}\nb`))].map((l) => l.text)).toEqual(['a', long, 'b']);
  });
});

describe('records', () => {
  it('are what the first says', () => {
    expect(records(`\n${lines({ text: 'a' }, { text: 'b', prompt: 'c' })}`)).toEqual([
      { line: 2, prompt: null, completion: 'a' },
      { line: 3, prompt: null, completion: 'b' },
    ]);
    expect(records(lines({ prompt: 'p', completion: 'c' }))).toEqual([{ line: 1, prompt: 'p', completion: 'c' }]);
    expect(records(lines({ question: 'q', answer: 'a' }))).toEqual([{ line: 1, prompt: 'q\n', completion: 'a' }]);
    expect(records(lines({ in: 'p', out: 'c' }), { prompt: 'in', completion: 'out' })).toEqual([{ line: 1, prompt: 'p', completion: 'c' }]);
    expect(records(lines({ body: 'b' }), { text: 'body' })).toEqual([{ line: 1, prompt: null, completion: 'b' }]);
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'ho' },
    ];
    expect(records(lines({ messages }))).toEqual([{ line: 1, messages, fields: {} }]);
  });

  it.each([
    ['{"text":"a"}\n\n{"text":1}', 'line 3: text is 1'],
    ['{"text":"a"}\n{', 'line 2: is not valid JSON'],
    ['{"txt":"a"}', 'line 1: has the fields "txt", expected text'],
    ['[1]', 'line 1: is [1]'],
    ['{"prompt":"a","completion":"b"}\n{"prompt":"a"}', 'line 2: completion is missing'],
    ['{"messages":[{"role":"user"}]}', 'line 1: messages[0].content is missing'],
    ['{"messages":[]}', 'line 1: messages is []'],
    ['\n \n', 'holds no examples'],
  ])('%j is refused: %s', (content, message) => {
    expect(messageOf(() => records(content))).toContain(message);
  });
});

describe('batches', () => {
  const ids = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  it('are the same from JSON and safetensors', () => {
    const json = readBatches(
      file(
        'b.json',
        JSON.stringify({
          input_ids: ids,
          labels: [
            [-100, 2, 3],
            [4, 5, 6],
          ],
          attention_mask: null,
          other: 'x',
        }),
      ),
    );
    const path = join(folder, 'b.safetensors');
    writeSafetensors(path, [
      { name: 'input_ids', dtype: 'I64', shape: [2, 3], data: BigInt64Array.from(ids.flat().map(BigInt)) },
      { name: 'labels', dtype: 'I32', shape: [2, 3], data: Int32Array.of(-100, 2, 3, 4, 5, 6) },
      { name: 'other', dtype: 'F32', shape: [1], data: new Float32Array(1) },
    ]);
    expect(readBatches(path)).toEqual(json);
    expect(json).toEqual({
      steps: 1,
      batch: 2,
      length: 3,
      inputIds: Int32Array.of(1, 2, 3, 4, 5, 6),
      labels: Int32Array.of(-100, 2, 3, 4, 5, 6),
      attentionMask: null,
      unused: ['other'],
    });
    expect(readBatches(file('c.json', JSON.stringify({ input_ids: [ids, ids] })))).toMatchObject({ steps: 2, batch: 2, length: 3, labels: null });
    expect(openDataset(path).kind).toBe('batches');
  });

  it.each([
    [{ labels: ids }, 'input_ids is missing'],
    [{ input_ids: [[1, 2], [3]] }, 'equal length'],
    [{ input_ids: [1, 2] }, 'shape [2]'],
    [{ input_ids: [[]] }, 'shape [1, 0]'],
    [{ input_ids: ids, labels: [[1, 2, 3]] }, 'labels has shape [1, 3]'],
    [
      {
        input_ids: ids,
        attention_mask: [
          [1, 1, 2],
          [1, 1, 1],
        ],
      },
      'attention_mask has 2',
    ],
    [{ input_ids: [[1.5]] }, 'input_ids holds 1.5'],
    [{ input_ids: ids, token_type_ids: ids }, 'holds token_type_ids, which the models that Ebb trains on batches do not take'],
    [{ input_ids: ids, weights: ids }, 'holds weights, which'],
    [{ input_ids: ids, inputs_embeds: [[[1]]] }, 'holds inputs_embeds, which'],
    [{ input_ids: ids, position_ids: [[0, 1, 2]] }, 'position_ids has shape [1, 3]'],
  ])('%j are refused: %s', (content, message) => {
    expect(messageOf(() => readBatches(file('bad.json', JSON.stringify(content))))).toContain(message);
  });
});

it('text is taken whole', () => {
  expect(openDataset(file('t.txt', '\ufeffa\r\nb\n'))).toMatchObject({ kind: 'text', text: 'a\nb\n' });
  expect(messageOf(() => openDataset(file('t.txt', ' \n')))).toContain('holds no text');
  expect(messageOf(() => openDataset(file('t.txt', Uint8Array.of(0xff))))).toContain('not valid UTF-8');
});

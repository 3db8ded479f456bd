/** @file Records of every kind, in every kind of file: what they are, where they lie, and what is refused. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { FieldNames } from '../../src/data/fieldNames.ts';
import { knownDataFile } from '../../src/data/fileKinds.ts';
import { readLines } from '../../src/data/lines.ts';
import { locateData } from '../../src/data/locate.ts';
import { type DataRecord, nothingRead, type RecordsRead, readRecords } from '../../src/data/records.ts';
import { rejectionOf } from '../formats/fixtureFolder.ts';

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
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}
const recordsOf = (path: string, names: FieldNames = {}, read?: RecordsRead): Promise<DataRecord[]> => all(readRecords(locateData(path), names, read));
const records = (content: string, names: FieldNames = {}): Promise<DataRecord[]> => recordsOf(file('d.jsonl', content), names);
const examples = async (content: string, names: FieldNames = {}) => (await records(content, names)).map(({ example }) => example);
const linesOf = (content: string) => all(readLines(knownDataFile(file('l.jsonl', content))));
const lines = (...objects: object[]): string => objects.map((o) => JSON.stringify(o)).join('\n');

describe('lines', () => {
  it('are those of the text, whatever its ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.string({ unit: 'binary' }).filter((s) => !/[\r\n]/.test(s)),
          { minLength: 1, maxLength: 20 },
        ),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        async (texts, end, bom) => {
          const whole = texts.map((t) => t.replaceAll(/[\ud800-\udfff]/g, '').replace(/^\ufeff/, ''));
          const found = await linesOf(`${bom ? '\ufeff' : ''}${whole.map((t) => t + end).join('')}`);
          expect(found.map((l) => l.text)).toEqual(whole);
          expect(found.map((l) => l.number)).toEqual(whole.map((_, i) => i + 1));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('may be longer than what is read at a time', async () => {
    const long = 'é'.repeat(1_500_000);
    expect((await linesOf(`a\n${long}\nb`)).map((l) => l.text)).toEqual(['a', long, 'b']);
  });
});

describe('records', () => {
  it('are what their fields say', async () => {
    const read = nothingRead();
    const found = await recordsOf(file('d.jsonl', `\n${lines({ text: 'a' }, { text: 'b', source: 'c' })}`), {}, read);
    expect(found.map(({ number, where, example }) => ({ number, line: where.split(': ')[1], example }))).toEqual([
      { number: 1, line: 'line 2', example: { prompt: null, completion: 'a' } },
      { number: 2, line: 'line 3', example: { prompt: null, completion: 'b' } },
    ]);
    expect([read.kind?.title, [...read.unused]]).toEqual(['texts', ['source']]);
    expect(await examples(lines({ prompt: 'p', completion: 'c', tag: null }))).toEqual([{ prompt: 'p', completion: 'c' }]);
    expect(await examples(lines({ question: 'q', answer: 'a' }))).toEqual([{ prompt: 'q\n', completion: 'a' }]);
    expect(await examples(lines({ in: 'p', out: 'c' }), { prompt: 'in', completion: 'out' })).toEqual([{ prompt: 'p', completion: 'c' }]);
    expect(await examples(lines({ body: 'b' }), { text: 'body' })).toEqual([{ prompt: null, completion: 'b' }]);
    expect(await examples(lines({ text: 'b', messages: [] }), { text: 'text' })).toEqual([{ prompt: null, completion: 'b' }]);
  });

  it('are conversations in the forms of OpenAI, ShareGPT, TRL and Alpaca', async () => {
    const [user, assistant] = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'ho' },
    ];
    const chat = { messages: [user, assistant], fields: {} };
    expect(await examples(lines({ messages: chat.messages }))).toEqual([chat]);
    expect(await examples(lines({ messages: JSON.stringify(chat.messages), tools: [1] }))).toEqual([{ ...chat, fields: { tools: [1] } }]);
    const shared = [
      { from: 'human', value: 'hi' },
      { from: 'gpt', value: 'ho', weight: 0 },
    ];
    expect(await examples(lines({ conversations: shared }))).toEqual([{ messages: [user, { ...assistant, weight: 0 }], fields: {} }]);
    expect(await examples(lines({ prompt: [user], completion: [assistant] }))).toEqual([{ messages: [{ ...user, train: false }, assistant], fields: {} }]);
    const alpaca = [
      { instruction: 'hi', input: '', output: 'ho' },
      { instruction: 'add', input: '1 2', output: '3', system: 'sums' },
    ];
    expect(await examples(lines(...alpaca))).toEqual([
      chat,
      {
        messages: [
          { role: 'system', content: 'sums' },
          { role: 'user', content: 'add\n1 2' },
          { role: 'assistant', content: '3' },
        ],
        fields: {},
      },
    ]);
  });

  it('may be JSON themselves, and hand tools over that are JSON text', async () => {
    expect(await examples(lines({ prompt: 'sort [3, 1]', completion: '[1, 3]' }))).toEqual([{ prompt: 'sort [3, 1]', completion: '[1, 3]' }]);
    const messages = [{ role: 'user', content: 'hi' }];
    expect(await examples(lines({ messages, tools: '[{"type":"function"}]' }))).toEqual([{ messages, fields: { tools: [{ type: 'function' }] } }]);
  });

  it('are named by fields that their kind has, and that some record has', async () => {
    const pair = lines({ p: 'q', c: 'a', t: 'tt' });
    expect(await rejectionOf(records(pair, { prompt: 'p', completion: 'c', input: 'nix' }))).toContain('which have no input, and fields names it (input: nix)');
    const alpaca = lines({ i: 'a', o: 'b' });
    expect(await rejectionOf(records(alpaca, { instruction: 'i', output: 'o', input: 'nix' }))).toContain(
      'no record has the field nix, which fields names (input: nix)',
    );
  });

  it('that are not to be learnt say so', async () => {
    const found = await records(lines({ text: 'a', weight: 0 }, { text: 'a', weight: 1 }, { text: 'a', train: false }, { text: 'a', weight: null }));
    expect(found.map(({ isLearnt }) => isLearnt)).toEqual([false, true, false, true]);
  });

  it.each([
    ['{"text":"a"}\n\n{"text":1}', 'line 3: text is 1'],
    ['{"text":"a"}\n{', 'line 2: is not valid JSON'],
    ['{"txt":"a"}', 'line 1: has the fields "txt", expected messages, or conversations, '],
    ['{"message":[]}', '(did you mean messages by message?)'],
    [
      '{"text":"a","messages":[]}',
      'line 1: has the fields of conversations (messages) and of texts (text); say which are meant by fields, such as fields: { text: text }',
    ],
    ['{"text":"a"}\n{"question":"a","answer":"b"}', 'line 2: is one of questions and answers, and the records before are texts; give data of one kind'],
    ['{"prompt":"a","chosen":"b","rejected":"c"}', 'line 1: holds a preference pair (chosen and rejected), for which Ebb has no loss'],
    ['{"text":"a","weight":0.5}', 'line 1: weight is 0.5, expected 1 (learnt) or 0 (not learnt)'],
    ['{"text":"a","train":"false"}', 'line 1: train is "false", expected true or false'],
    ['[1]', 'line 1: is [1]'],
    ['{"prompt":"a","completion":"b"}\n{"prompt":"a"}', 'line 2: completion is missing'],
    ['{"messages":[{"role":"user"}]}', 'line 1: messages[0].content is missing'],
    ['{"messages":[]}', 'line 1: messages is []'],
    ['\n \n', 'holds no examples'],
  ])('%j is refused: %s', async (content, message) => {
    expect(await rejectionOf(records(content))).toContain(message);
  });
});

describe('files', () => {
  const two = [{ text: 'a, "b"\nc' }, { text: 'd' }];
  const texts = ['a, "b"\nc', 'd'];
  const found = async (path: string, names: FieldNames = {}): Promise<unknown[]> =>
    (await recordsOf(path, names)).map(({ example }) => Object.values(example).at(-1));
  it.each<[string, string | Uint8Array]>([
    ['a.jsonl', lines(...two)],
    ['a.ndjson', `${lines(...two)}\r\n\r\n`],
    ['a.jsonl.gz', gzipSync(lines(...two))],
    ['a.json', JSON.stringify(two, null, 2)],
    ['b.json', lines(...two)],
    ['a.csv', '\ufeffid,text\r\n1,"a, ""b""\nc"\r\n\r\n2,d\r\n'],
    ['a.tsv', 'text\tid\n"a, ""b""\nc"\t1\nd\t2\n'],
    ['a.csv.gz', gzipSync('text\n"a, ""b""\nc"\nd\n')],
    ['mixed.csv', 'text,weight\r\n"a, ""b""\nc",1\nd,True\r\n'.replace('True', '1.0')],
  ])('%s is read', async (name, content) => {
    expect(await found(file(name, content))).toEqual(texts);
  });

  it.each<[string, string | Uint8Array, string]>([
    ['train', lines(...two), 'is of a kind that Ebb does not know by its name, expected .jsonl'],
    ['a.jsonl.zip', 'x', 'is of a kind that Ebb does not know by its name'],
    ['x.csv', 'text,text\na,b\n', 'x.csv: the header names the column "text" twice'],
    ['x.csv', 'text,id\na\n', 'x.csv: Invalid Record Length'],
    ['x.csv', 'text;id\na;1\n', 'its columns seem to be separated by ";": write it with commas'],
    ['x.json', '{"text":["a","b"],"id":[1,2]}', 'x.json: holds columns (text, id), expected a list of records'],
    ['x.json', '{"data":[{"text":"a"}]}', 'x.json: holds a list of objects under "data"'],
    ['x.csv', 'text\n"a\n', 'x.csv: Quote Not Closed'],
    ['x.csv', Uint8Array.of(0xff, 10), 'x.csv: is not valid UTF-8'],
    ['x.json', '[{"text":"a"},]', 'x.json: is not valid JSON at line 1, column 15'],
    ['x.json', '[1]', 'x.json: record 1: is 1, expected a JSON object'],
    ['x.jsonl.gz', 'text', 'x.jsonl.gz: cannot be unpacked by gzip'],
    ['x.parquet', 'PAR1PAR1PAR1', 'x.parquet: cannot be read as parquet'],
  ])('%s with %j is refused: %s', async (name, content, message) => {
    expect(await rejectionOf((async () => recordsOf(file(name, content)))())).toContain(message);
  });

  it('are shards of a folder in the order of their names, without what lies beside them; or those that a pattern names', async () => {
    const shards = join(folder, 'shards');
    mkdirSync(join(shards, 'data'), { recursive: true });
    const put = (name: string, text: string): void => writeFileSync(join(shards, name), lines({ text }));
    put('data/train-2.jsonl', 'b');
    put('data/train-1.jsonl', 'a');
    put('README.md', 'x');
    expect(await found(shards)).toEqual(['a', 'b']);
    expect(locateData(shards).notes).toEqual([`${shards}: README.md is no data, and not read`]);
    put('data/test-1.jsonl', 'held out');
    expect(await found(shards)).toEqual(['a', 'b']);
    expect(locateData(shards).notes).toEqual([
      expect.stringContaining('2 files to train on are read, not data/test-1.jsonl; name others by a pattern'),
      expect.stringContaining('README.md is no data'),
    ]);
    expect(await found(join(shards, '**', 'test-*'))).toEqual(['held out']);
    expect(await rejectionOf((async () => recordsOf(join(shards, '*.csv')))())).toContain('no file matches this pattern');
    const linked = join(folder, 'linked');
    mkdirSync(join(linked, 'deep'), { recursive: true });
    symlinkSync(join(folder, 'nowhere'), join(linked, 'gone'));
    symlinkSync(join(shards, 'data'), join(linked, 'deep', 'more'));
    writeFileSync(join(linked, 'a.jsonl'), lines({ text: 'own' }));
    expect(await found(linked)).toEqual(['own', 'a', 'b']);
    expect(locateData(linked).notes.at(-1)).toBe(`${linked}: gone is no data, and not read`);
    expect(await found(join(linked, '*.jsonl'))).toEqual(['own']);
    symlinkSync(join(folder, 'nowhere'), join(linked, 'b.jsonl'));
    expect(await rejectionOf((async () => recordsOf(linked))())).toContain('b.jsonl: no such file or folder');
    const held = join(folder, 'held');
    mkdirSync(held);
    writeFileSync(join(held, 'test-0.jsonl'), lines({ text: 'a' }));
    expect(locateData(held).notes).toEqual([`${held}: holds the split test alone, which is read`]);
    writeFileSync(join(held, 'validation.jsonl'), lines({ text: 'b' }));
    expect(await rejectionOf((async () => recordsOf(held))())).toContain('holds the splits test and validation, and none to train on');
    writeFileSync(join(held, 'more.jsonl'), lines({ text: 'c' }));
    expect(await found(held)).toEqual(['c']);
    writeFileSync(join(held, 'more.jsonl.gz'), gzipSync(lines({ text: 'c' })));
    expect(await rejectionOf((async () => recordsOf(held))())).toContain('holds more.jsonl and more.jsonl.gz, whose records would be learnt twice');
    const mixed = join(folder, 'mixed');
    mkdirSync(mixed);
    writeFileSync(join(mixed, 'notes.txt'), 'x');
    writeFileSync(join(mixed, 'a.jsonl'), lines({ text: 'a' }));
    expect(await rejectionOf((async () => recordsOf(mixed))())).toMatch(/holds records .* and text .*, expected data of one kind/);
  });
});

/** @file Run files as YAML: every line that is wrong is said, and so is what YAML warns of. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFolder } from '../../src/formats/files.ts';
import { readRunFile } from '../../src/run/runFile.ts';
import { messageOf } from '../formats/fixtureFolder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-run-file-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, 'run.yaml');
  writeFileSync(path, text);
  return path;
}

it('all that is no YAML is said at once, with its lines', () => {
  const path = file('model: a\nmodel: b\ndata: [x\n');
  expect(messageOf(() => readRunFile(path)).split('\n')).toEqual([
    `${path}: is no YAML in 2 places`,
    expect.stringMatching(/^ {2}line 2: Map keys must be unique/),
    expect.stringMatching(/^ {2}line 4: /),
  ]);
});

it('a second document is refused in words about runs', () => {
  const path = file('model: a\n---\nmodel: b\n');
  expect(messageOf(() => readRunFile(path))).toBe(
    `${path}: line 2: a second document begins, expected the keys of one run; write each run in a file of its own`,
  );
});

it('what YAML warns of is said', () => {
  const path = file('model: a\ndata: !path b\n');
  const notes: string[] = [];
  expect(readRunFile(path, (text) => notes.push(text))).toEqual({ model: 'a', data: 'b' });
  expect(notes).toEqual([`${path}: line 2: Unresolved tag: !path`]);
});

it('a folder is made with those above it, and one that cannot be made is refused at once', () => {
  makeFolder(join(folder, 'a', 'b', 'c'));
  makeFolder(join(folder, 'a', 'b', 'c'));
  writeFileSync(join(folder, 'a', 'file'), '');
  expect(messageOf(() => makeFolder(join(folder, 'a', 'file', 'd')))).toMatch(/a part of the path is a file, not a folder|is there already/);
});

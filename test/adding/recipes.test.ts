/**
 * @file The recipes of docs/adding.md, each done to a copy of the sources: its files are added and its lines inserted, everything type-checks
 * and imports along the arrows, what was added passes the checks of its kind, and it took as many files as the page says.
 */

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/cli.ts';

interface Edit {
  readonly file: string;
  /** The text that the lines go before. */
  readonly before: string;
  readonly add?: readonly string[];
  /** Instead of lines: a text that goes before it in its line. */
  readonly inline?: string;
}
interface Recipe {
  readonly what: string;
  readonly files: number;
  readonly edits: readonly Edit[];
}

const run = promisify(execFile);
const recipes = readdirSync(__dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => ({ name, ...(JSON.parse(readFileSync(join(__dirname, name, 'recipe.json'), 'utf8')) as Recipe) }));
const filesOf = (name: string): readonly string[] => {
  const folder = join(__dirname, name, 'files');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
};

let copy: string;
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'ebb-adding-'));
  for (const path of ['src', 'test/support', 'test/adding/support.ts', 'package.json', 'tsconfig.json'])
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'checks'));
  for (const { name, edits } of recipes) {
    if (existsSync(join(__dirname, name, 'files'))) cpSync(join(__dirname, name, 'files'), copy, { recursive: true });
    cpSync(join(__dirname, name, 'check.ts'), join(copy, 'checks', `${name}.ts`));
    for (const { file, before, add = [], inline } of edits) {
      const text = readFileSync(join(copy, file), 'utf8');
      if (text.split(before).length !== 2)
        throw new Error(`${name}: ${file} holds ${JSON.stringify(before)} ${text.split(before).length - 1} times, expected once`);
      writeFileSync(
        join(copy, file),
        text.replace(before, () => `${inline ?? add.map((line) => `${line}\n`).join('')}${before}`),
      );
    }
  }
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

it('type-check, all of them together', async () => {
  writeFileSync(join(copy, 'tsconfig.check.json'), JSON.stringify({ extends: './tsconfig.json', include: ['src', 'checks', 'test/adding'] }));
  const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.check.json'], { cwd: copy }).catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});

it('import along the arrows of the rooms', async () => {
  const { stderr } = await run(process.execPath, [join(ROOT, 'scripts/arrows.mjs')], { cwd: copy }).catch((error: { stderr: string }) => error);
  expect(stderr).toBe('');
});

describe.each(recipes)('$what', ({ name, what, files, edits }) => {
  it('works', async () => {
    const { stderr } = await run(join(ROOT, 'node_modules/.bin/tsx'), [`checks/${name}.ts`], { cwd: copy }).catch((error: { stderr: string }) => error);
    expect(stderr).toBe('');
  });

  it('takes as many files as docs/adding.md says', () => {
    expect(new Set([...filesOf(name), ...edits.map(({ file }) => file)]).size).toBe(files);
    expect(readFileSync(join(ROOT, 'docs/adding.md'), 'utf8')).toContain(`| ${what} | ${files} |`);
  });
});

/** @file Every malformed file through the installed command, `ebb check` and where it applies `ebb train`: refused in one sentence, with little memory. */

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { readJson, withFixtures } from '../formats/fixtureFolder.ts';
import { expectNamed } from '../support/badConfig.ts';
import { type CliRun, errorsIn, ROOT, runCli, TINY_MODEL } from '../support/cli.ts';

interface Bad {
  readonly file: string;
  readonly kind: string;
  readonly wrong: string;
  readonly expected: string;
  readonly weights?: string;
  readonly line?: number;
}

const QUESTIONS = join(ROOT, 'examples/demo/questions.jsonl');

function expectRefused(run: CliRun, { line }: Bad): void {
  expect({ code: run.code, stderr: run.stderr }).toMatchObject({ code: 1 });
  const sentence = run.stderr.trim().split('\n').at(-1) ?? '';
  expect(run.stderr).not.toMatch(/\bat \S+ \(|node:internal|Error:/);
  expect(run.stdout).toBe('');
  expect(run.maxRssBytes).toBeLessThan(1e9);
  if (line !== undefined) expect(sentence).toContain(`line ${line}:`);
}

withFixtures('bad', (folder) => {
  const { files }: { files: Bad[] } = readJson(join(folder, 'bad.json'));
  it('says of everything in the folder what is wrong with it', () => {
    const told = new Set(['bad.json', ...files.map(({ file }) => file.split('/')[0])]);
    expect(readdirSync(folder).filter((name) => !told.has(name))).toEqual([]);
  });
  let scratch: string;
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), 'ebb-bad-'));
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  /** The model and the data with which the file reaches `ebb train`. */
  const trainArgs = (bad: Bad): { model: string; data: string } => {
    const path = join(folder, bad.file);
    if (bad.kind === 'jsonl') return { model: TINY_MODEL, data: path };
    if (bad.kind === 'safetensors' || bad.kind === 'gguf') return { model: path, data: QUESTIONS };
    const model = join(scratch, dirname(bad.file));
    mkdirSync(model, { recursive: true });
    copyFileSync(path, join(model, basename(path)));
    if (bad.weights !== undefined) copyFileSync(join(folder, bad.weights), join(model, 'model.safetensors'));
    else if (bad.kind === 'tokenizer.json') for (const name of ['config.json', 'model.safetensors']) copyFileSync(join(TINY_MODEL, name), join(model, name));
    else if (existsSync(join(dirname(path), 'config.json'))) copyFileSync(join(dirname(path), 'config.json'), join(model, 'config.json'));
    return { model, data: QUESTIONS };
  };

  for (const bad of files) {
    const must = /^(reject|error|clear error)/.test(bad.expected) && !/accept|warns/.test(bad.expected);
    it(`${bad.file}: ${bad.wrong}: ${bad.expected}`, async () => {
      const out = join(scratch, `run-${bad.file.replaceAll('/', '-')}`);
      const { model, data } = trainArgs(bad);
      const checked = bad.weights === undefined ? join(folder, bad.file) : model;
      const [check, train] = await Promise.all([
        runCli(['check', checked]),
        must ? runCli(['train', '--model', model, '--data', data, '--out', out, '--steps', '1', '--batch', '1', '--length', '16']) : null,
      ]);
      if (must) {
        expectRefused(check, bad);
        expect(check.stderr.trim().split('\n')).toHaveLength(1);
      } else {
        expect([0, 1]).toContain(check.code);
        expect(`${check.stdout}${check.stderr}`.trim().split('\n')).toHaveLength(1);
        if (/^accept(?! or)/.test(bad.expected)) expect(check.code).toBe(0);
      }
      if (!train) return;
      expectRefused(train, bad);
      // it says what it does before
      expect(errorsIn(train.stderr)).toHaveLength(1);
      expect(existsSync(out)).toBe(false);
      const fields = (bad.wrong.match(/[a-z]+(?:_[a-z]+)+/g) ?? []).filter(() => bad.kind === 'config.json');
      for (const field of fields) expect(train.stderr).toContain(field);
      if (bad.weights === undefined) return;
      for (const { stderr } of [check, train]) expectNamed(stderr, join(folder, bad.file), join(folder, bad.weights));
    });
  }
});

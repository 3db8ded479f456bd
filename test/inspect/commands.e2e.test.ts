/** @file `ebb inspect` as a person runs it: dumps, diffs of dumps, colours by the environment, and mistakes, which are reported in one sentence. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CliRun, runCli, TINY_MODEL } from '../support/cli.ts';

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-inspect-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

async function inspect(...args: readonly string[]): Promise<CliRun> {
  return runCli(['inspect', ...args]);
}
async function text(...args: readonly string[]): Promise<string> {
  const run = await inspect(...args);
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  return run.stdout;
}

it('diffs dumps with dumps and with stages of a model', async () => {
  const [mlp, trace] = [join(scratch, 'mlp.ebb'), join(scratch, 'trace.ebb')];
  writeFileSync(mlp, await text(TINY_MODEL, '--unit', 'layers.3.mlp'));
  writeFileSync(trace, await text(TINY_MODEL));
  expect(await text(mlp)).toBe(readFileSync(mlp, 'utf8'));
  expect(await text('--diff', mlp, trace, '--function', '@mlp')).toMatch(
    /^--- .*mlp\.ebb\n\+\+\+ .*trace\.ebb\n@@[\s\S]*^-.*%layers\[3\]\.mlp\.[\s\S]*^\+ {2}%/m,
  );
  expect(await text(TINY_MODEL, '--diff', trace, 'trace')).toBe(`${trace} and trace are the same\n`);
});

it('counts costs of every stage, functions of the update phase included', async () => {
  expect(await text(TINY_MODEL, '--stage', 'fuse', '--cost', '--function', 'adamw')).toMatch(/sqrt .*\/\/ \d+ FLOP/);
});

it('counts costs of a dump when it is asked to, and takes a rank for an adapter', async () => {
  const dump = join(scratch, 'plain.ebb');
  writeFileSync(dump, await text(TINY_MODEL, '--rank', '2'));
  expect(readFileSync(dump, 'utf8')).toMatch(/weight %q_proj\.lora_A: f32\[2,128\]/);
  expect(await text(dump, '--cost')).toBe(await text(TINY_MODEL, '--rank', '2', '--cost'));
});

it('prints a diff as JSON', async () => {
  const report = JSON.parse(await text(TINY_MODEL, '--diff', 'none', 'layers.3.mlp', '--json'));
  expect(report).toMatchObject({ a: { dropped: [] }, b: { dropped: ['layers.3.mlp'] }, removed: { forwardFlops: 0 } });
  expect(report.removed.backwardFlops).toBe(report.a.backwardFlops - report.b.backwardFlops);
});

it('colours when it is told to, and never JSON', async () => {
  const mlp = async (env: Readonly<Record<string, string>>, ...more: readonly string[]): Promise<string> =>
    (await runCli(['inspect', TINY_MODEL, '--function', 'mlp', ...more], undefined, env)).stdout;
  const plain = await mlp({});
  expect(plain).toMatch(/^ebb 1\n/);
  expect(plain).not.toContain('\x1b');
  const coloured = await mlp({ FORCE_COLOR: '1' });
  expect(coloured).toMatch(/\x1b\[35mfunc\x1b\[39m/);
  expect(coloured.replace(/\x1b\[\d+m/g, '')).toBe(plain);
  expect(await mlp({ FORCE_COLOR: '1' }, '--json')).not.toContain('\x1b');
  expect(await mlp({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(plain);
});

it.each([
  [[TINY_MODEL, '--diff', 'none'], /--diff: expected two stages .*, two patterns .* or two \.ebb files, found 1/],
  [[TINY_MODEL, '--diff', 'trace', 'layers.3.mlp'], /--diff: layers\.3\.mlp is neither a stage .* nor an \.ebb file/],
  [[TINY_MODEL, '--stage', 'fuse', '--function', '@mpl'], /--function: no function @mpl here; there are .*@mlp\.fwd/],
  [[TINY_MODEL, '--unit', 'layers.3.mpl'], /--unit: no unit or piece of trunk layers\.3\.mpl; there are embed, /],
  [[TINY_MODEL, '--stage', 'plan', '--unit', 'layers.3.mpl'], /--unit: no unit .* there are embed, /],
  [[TINY_MODEL, '--remat', 'layers.3.mpl'], /--remat: unknown unit layers\.3\.mpl; the model has /],
  [['nowhere.ebb', '--unit', 'layers.3.mlp'], /--unit: a dump holds one stage/],
  [['--stage', 'trace'], /no model to inspect/],
  [['dump.ebb', '--html', 'x.html'], /--html: expected a model/],
  [['nowhere.ebb'], /nowhere\.ebb: no such file/],
  [['nowhere.ebb', '--drop', 'layers.3.mlp'], /--drop: a dump holds one stage/],
  [[TINY_MODEL, '--diff', 'trace', 'nowhere.ebb'], /nowhere\.ebb: no such file/],
  [[TINY_MODEL, '--html', 'nowhere/x.html'], /--html nowhere\/x\.html: there is no folder \S+nowhere to write it into/],
  [[TINY_MODEL, '--batch', '0'], /--batch .*expected a whole number, 1 or more/],
  [[TINY_MODEL, '--length', '0'], /--length .*expected a whole number, 1 or more/],
  [[TINY_MODEL, '--rank', '0'], /--rank .*expected a whole number, 1 or more/],
  [[TINY_MODEL, '--drop-rate', '3'], /--drop-rate .*expected a number from 0 to 1/],
  [[TINY_MODEL, '--drop', 'layers.3.mlp', '--drop-rate', '0.5'], /'--drop-rate <p>' cannot be used with option '--drop <units>'/],
  [[TINY_MODEL, '--drop', 'layers.3.mlp', '--remat', 'layers.3.mlp'], /--remat: layers\.3\.mlp is dropped/],
  [[TINY_MODEL, '--skip', 'layers.3.mlp', '--remat', 'layers.3.mlp'], /--skip: layers\.3\.mlp is named as dropped or remat too/],
  [[TINY_MODEL, '--stage', 'fuse', '--drop', 'layers.3.mlp'], /--drop: a stage is the same for all patterns; leave --drop or --stage out/],
])('refuses %j in one sentence', async (args, message) => {
  const run = await inspect(...args);
  expect(run.code).toBe(1);
  expect(run.stderr.trim()).toMatch(message);
  expect(run.stderr.trim()).not.toContain('\n');
});

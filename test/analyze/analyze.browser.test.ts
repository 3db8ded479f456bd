/** @file `ebb analyze` as a person runs it on the bundled model: text, JSON, and a page that a browser draws without asking the network for anything. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'puppeteer-core';
import type { AnalyzeReport } from '../../src/analyze/report.ts';
import { analyzeText } from '../../src/analyze/text.ts';
import { openBrowser, openPage } from '../support/chromium.ts';
import { ROOT, runCli, TINY_MODEL } from '../support/cli.ts';

let scratch: string;
let file: string;
let report: AnalyzeReport;
let browser: Browser | null;

/** Writes a run folder with only the files that are shown. Its last line is incomplete. */
function writeRun(name: string, drop: string, losses: readonly number[]): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.yaml'), `model: m\ndrop: ${drop}\n`);
  writeFileSync(join(folder, 'metrics.jsonl'), `${losses.map((loss, step) => JSON.stringify({ step, loss, ms: 250, lr: 1 })).join('\n')}\n{"step": 9`);
  return folder;
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-analyze-'));
  file = join(scratch, 'report.html');
  const config = join(scratch, 'run.yaml');
  const out = join(scratch, 'never');
  const model = join(scratch, 'a-model-in-a-folder-whose-path-is-longer-than-a-phone-is-wide');
  symlinkSync(TINY_MODEL, model);
  writeFileSync(
    config,
    `model: ${model}\ndata: ${join(ROOT, 'examples/demo/questions.jsonl')}\nout: ${out}\nlength: 24\nsteps: 20\nlora: { rank: 2 }\ndrop: { kind: dropbp, rate: 0.5, allocation: optimal }\n`,
  );
  const runs = [writeRun('all', '{ kind: none }', [3, 2, 1.5, 1]), writeRun('half', '{ kind: uniform, rate: 0.5, weights: true }', [3, 2.5, 2])];
  const flags = ['--rates', '0.5,0.97', '--samplings', 'fixed-budget', '--batches', '2', '--patterns', '2', '--rounds', '1'];
  const before = readdirSync(scratch).sort();
  const run = await runCli(['analyze', config, ...flags, '--runs', ...runs, '--html', file, '--json']);
  expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
  expect(readdirSync(scratch).sort()).toEqual([...before, 'report.html'].sort());
  report = JSON.parse(run.stdout);
  browser = await openBrowser();
  if (!browser) console.warn('no Chromium on this platform: the page is not opened');
});
afterAll(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true });
});

it('reports units, rates, settings, runs, and what it recommends', () => {
  expect(report.units).toHaveLength(12);
  expect(report.sensitivities.every((s) => s > 0)).toBe(true);
  expect(report.rates.map(({ rate, allocation, rates }) => [rate, allocation, rates?.length ?? null])).toEqual([
    [0.5, 'official', 12],
    [0.5, 'optimal', 12],
    [0.97, 'official', null],
    [0.97, 'optimal', null],
  ]);
  expect(report.rates[3]!.refused).toMatch(/no drop rates leave out that share .* the highest share that is reached here is 0\.9/);
  // a note says that a rate out of reach is left out; weights do not change the time
  expect(report.settings.map((s) => s.name)).toEqual(['rate 0.5, optimal, fixed-budget', 'rate 0.5, optimal, fixed-budget, with weights']);
  expect(report.notes.at(-1)).toMatch(/rate 0\.97, optimal, fixed-budget is left out: drop\.rate: is 0\.97/);
  const [plain, weighted] = report.settings;
  expect(weighted!.time).toEqual(plain!.time);
  expect(plain!.time.flopsShare).toBeLessThan(0.9);
  expect(plain!.time.ms).toBeGreaterThan(0);
  expect(plain!.memory.plannedBytes).toBeGreaterThanOrEqual(plain!.memory.usedBytes);
  expect(plain!.memory.plannedBytes).toBeLessThan(report.none.memory.plannedBytes);
  expect(plain!.cosine.mean).toBeGreaterThan(0.2);
  expect(plain!.cosine.mean).toBeLessThan(1);
  expect(plain!.units).toHaveLength(12);
  expect(report.recommendation.worths.map((w) => w.name)).toEqual(report.settings.map((s) => s.name));
  expect(report.recommendation.reason).toMatch(/a step takes .* of the time of a full one and makes .* times the progress a second\.$/);
  expect(report.runs).toEqual([
    { name: 'all', drop: 'none', points: [3, 2, 1.5, 1].map((loss, step) => ({ step: step + 1, seconds: 0.25 * (step + 1), loss })), heldOut: [] },
    {
      name: 'half',
      drop: 'uniform, rate 0.5, weights',
      points: [3, 2.5, 2].map((loss, step) => ({ step: step + 1, seconds: 0.25 * (step + 1), loss })),
      heldOut: [],
    },
  ]);
});

it('says the same as text', () => {
  const text = analyzeText(report);
  expect(text).toContain(`recommended: ${report.recommendation.reason}`);
  expect(text).toMatch(/^ {2}layers\.3\.mlp +[\d.e-]+ +[\d.]+ % +[\d.]+ +[\d.]+$/m);
  expect(text).toMatch(/^ {2}rate 0\.5, optimal, fixed-budget, with weights( +[\d.]+){4} /m);
  expect(text).toMatch(/^ {2}half \(uniform, rate 0\.5, weights\): 2\.0000$/m);
});

it('writes one file that asks for nothing', () => {
  const html = readFileSync(file, 'utf8');
  expect(html).not.toMatch(/(?:src|href)="(?!data:)/);
  expect(html).not.toMatch(/@import|\bfetch\(|XMLHttpRequest|WebSocket/);
  expect(statSync(file).size).toBeLessThan(600_000);
});

it.each([
  [390, false],
  [1280, false],
  [1280, true],
])('draws every plot %i wide, dark: %s, with nothing cut and nothing on the console', async (width, dark) => {
  if (!browser) return;
  const { page, complaints } = await openPage(browser, pathToFileURL(file), { width, height: 900 }, dark);
  await page.waitForFunction(`[...document.querySelectorAll('.plot')].every((p) => p.querySelector('svg'))`);
  const titles = await page.$$eval('.card h2', (all) => all.map((e) => e.textContent));
  expect(titles).toEqual([
    'Recommended',
    'Progress a second',
    'Fidelity against time saved',
    'Bias',
    'Noise',
    'Time of a step',
    'Memory',
    'Sensitivity by unit',
    'Drop rate by unit',
    'Gradient of a unit',
    'Loss by step',
    'Loss by time',
  ]);
  const answer = await page.$eval('.answer', (e) => e.textContent);
  expect(answer).toBe(report.recommendation.name ?? 'Drop nothing');
  // a bar for each unit, a line for each run
  expect(await page.$$eval('.card:nth-of-type(8) svg [aria-label="bar"] rect', (all) => all.length)).toBe(12);
  expect(await page.$$eval('.card:nth-of-type(12) svg [aria-label="line"] path', (all) => all.length)).toBe(2);
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  expect(complaints).toEqual([]);
  await page.close();
});

it.each([
  [['--rates', '1.5'], /--rates .*above 0, at most 1/],
  [['--samplings', 'dice'], /--samplings .*expected some of bernoulli, official, fixed-budget/],
  [['--allocations', 'fair'], /--allocations .*expected some of uniform, official, optimal/],
  [['--patterns', '1'], /--patterns .*2 or more/],
  [['--runs', '/nowhere'], /\/nowhere\/config\.yaml: no such file/],
])('refuses %j in one sentence', async (args, message) => {
  const data = join(ROOT, 'examples/demo/questions.jsonl');
  const { code, stderr } = await runCli(['analyze', '--model', TINY_MODEL, '--data', data, ...args]);
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

/** @file `ebb watch` and `ebb runs` as a person runs them: beside a run that goes on, in a pipe and in a browser, and over what it left. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'puppeteer-core';
import type { RunList } from '../../src/index.ts';
import { openBrowser, openPage } from '../support/chromium.ts';
import { type CliRun, ROOT, runCli, TINY_MODEL } from '../support/cli.ts';

let scratch: string;
let browser: Browser | null;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-watch-'));
  browser = await openBrowser();
  if (!browser) console.warn('no Chromium on this platform: the pages are not opened');
});
afterAll(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true });
});
const at = (name: string): string => join(scratch, name);
function ok(run: CliRun): CliRun {
  expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
  return run;
}

const RUN = `
model: ${TINY_MODEL}
data: ${join(ROOT, 'examples/demo/questions.jsonl')}
evalData: ${join(ROOT, 'examples/demo/held-out.jsonl')}
evalLimit: 2
evalEvery: 10
length: 24
lora: { rank: 2, layers: ["*.q_proj"] }
optimizer: { name: adamw, lr: 0.003 }
drop: { kind: uniform, rate: 0.5 }
tune: off
`;
const train = (name: string, steps: number): Promise<CliRun> => runCli(['train', at('run.yaml'), '--out', at(name), '--steps', String(steps)]);

it('shows a run while it goes on, in a pipe and on a page, until it ends; and then beside another', async () => {
  writeFileSync(at('run.yaml'), RUN);
  const training = train('runs/first', 300);
  while (!existsSync(at('runs/first/metrics.jsonl'))) await wait(50);
  const watching = runCli(['watch', at('runs/first')]);
  let url = '';
  const serving = runCli(['watch', at('runs/first'), '--html'], (text) => {
    url = /http:\S+/.exec(text)?.[0] ?? url;
  });
  while (url === '') await wait(50);
  expect((await fetch(url, { headers: { accept: 'text/html' } })).status).toBe(200);
  const opened = browser && (await openPage(browser, new URL(url), { width: 390, height: 844 }));
  if (opened) {
    const { page, complaints } = opened;
    const steps = (): Promise<number> => page.$eval('.key-number strong', (e) => Number.parseInt(e.textContent, 10));
    const before = await steps();
    while ((await steps()) <= before) await wait(50);
    ok(await training);
    await page.waitForSelector('.state.done');
    expect(await steps()).toBe(300);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(complaints).toEqual([]);
    await page.close();
  }
  ok(await training);
  const end = /first: done {2}step 300\/300 {2}held-out \d\.\d{4}.* loss \d\.\d{4} {2}\S.*\n$/;
  const { stdout } = ok(await watching);
  expect(stdout).toMatch(/^step \d+: held-out loss \d\.\d{4}$/m);
  expect(stdout).toMatch(/^step \d+\/300 {2}loss \d\.\d{4} {2}mean \d\.\d{4} {2}\d+ tok\/s {2}backward dropped \d+ %/m);
  expect(stdout).toMatch(end);
  expect(ok(await serving).stdout).toMatch(end);

  ok(await train('runs/second', 20));
  const file = at('runs.html');
  const run = ok(await runCli(['runs', scratch, '--html', file, '--json']));
  const { runs, problems } = JSON.parse(run.stdout) as RunList;
  expect(problems).toEqual([]);
  expect(runs.map(({ folder, state, steps }) => ({ folder, state, steps }))).toEqual([
    { folder: at('runs/first'), state: 'done', steps: { done: 300, of: 300 } },
    { folder: at('runs/second'), state: 'done', steps: { done: 20, of: 20 } },
  ]);
  expect(runs[1]!.heldOut!.last.step).toBe(20);
  expect(runs[1]!.tokensPerSecond).toBeGreaterThan(0);
  expect(run.stderr).toMatch(/runs\.html: \d/);
  const table = ok(await runCli(['runs', scratch])).stdout.split('\n');
  expect(table).toHaveLength(4);
  expect(table[1]).toMatch(/runs\/first +done +300\/300 /);
  if (!browser) return;
  for (const size of [
    { width: 1280, height: 900 },
    { width: 390, height: 844 },
  ]) {
    const { page, complaints } = await openPage(browser, pathToFileURL(file), size, size.width < 500);
    await page.waitForSelector('.plot svg');
    const lines = (): Promise<number> => page.$$eval('.plot', (plots) => plots[0]!.querySelectorAll('g[aria-label="line"] path').length);
    // a line of training and one of held-out losses each
    expect(await lines()).toBe(4);
    await page.click('tbody tr:first-child input');
    expect(await lines()).toBe(2);
    expect(await page.$$eval('tbody tr', (rows) => rows.length)).toBe(2);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(complaints).toEqual([]);
    await page.close();
  }
});

it('says what is wrong with what it is given', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await runCli(args);
    expect(code).toBe(1);
    return stderr.trim();
  };
  expect(await refused('watch', ROOT)).toMatch(/is not the folder of a run/);
  expect(await refused('watch', at('none'))).toMatch(/none: no such file or folder$/);
  expect(await refused('watch', ROOT, '--port', '80')).toMatch(/--port: without --html nothing is served; give --html, or leave --port out/);
  expect(await refused('runs', join(ROOT, 'schema'))).toMatch(/schema: holds no run, nor do folders up to 2 levels below/);
  expect(await refused('runs', at('run.yaml'))).toMatch(/is a file, expected the folder of a run/);
});

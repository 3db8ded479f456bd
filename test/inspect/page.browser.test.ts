/** @file The page of `ebb inspect --html` in a real browser: a pattern that is put together by clicks has the numbers that `--json` prints. */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { amount, QUANTITIES, QUANTITY_TEXT, type Totals } from '../../src/inspect/report.ts';
import { openBrowser, openPage } from '../support/chromium.ts';
import { runCli, TINY_MODEL } from '../support/cli.ts';

let scratch: string;
let file: string;
let browser: Browser | null;
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-page-'));
  file = join(scratch, 'page.html');
  const run = await runCli(['inspect', TINY_MODEL, '--html', file]);
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  browser = await openBrowser();
  if (!browser) console.warn('no Chromium on this platform: the page is not opened');
});
afterAll(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true });
});

/** The numbers that the command line prints for a pattern. */
async function expected(args: readonly string[]): Promise<Totals> {
  const { stdout } = await runCli(['inspect', TINY_MODEL, '--stage', 'plan', '--json', ...args]);
  const { pattern } = JSON.parse(stdout) as { pattern: Totals };
  return Object.fromEntries(QUANTITIES.map((key) => [key, pattern[key]])) as Record<keyof Totals, number>;
}
const numbers = (page: Page): Promise<Totals> => page.evaluate('window.ebb.numbers()') as Promise<Totals>;

/** Opens the page for `work`, and fails when anything appears on its console. */
async function withPage(work: (page: Page) => Promise<void>, size = { width: 1280, height: 800 }): Promise<void> {
  if (!browser) return;
  const { page, complaints } = await openPage(browser, pathToFileURL(file), size);
  await work(page);
  expect(complaints).toEqual([]);
  await page.close();
}

async function choose(page: Page, unit: string, form: string): Promise<void> {
  await page.click(`[data-site="${unit}"] input[value="${form}"]`);
}

it('is one file that asks for nothing', () => {
  const html = readFileSync(file, 'utf8');
  expect(html).not.toMatch(/(?:src|href)="(?!data:)/);
  expect(html).not.toMatch(/@import|\bfetch\(|XMLHttpRequest|WebSocket/);
  expect(statSync(file).size).toBeLessThan(1_000_000);
});

it.each<[string, (page: Page) => Promise<void>, readonly string[]]>([
  ['nothing', async () => {}, []],
  ['one unit', (page) => choose(page, 'layers.3.mlp', 'dropped'), ['--drop', 'layers.3.mlp']],
  [
    'the lowest units, and one further up',
    async (page) => {
      for (const unit of ['layers.0.attn', 'layers.0.mlp', 'layers.4.attn']) await choose(page, unit, 'dropped');
    },
    ['--drop', 'layers.0.attn,layers.0.mlp,layers.4.attn'],
  ],
  [
    'units that run forward again',
    async (page) => {
      await choose(page, 'layers.1.attn', 'dropped');
      for (const unit of ['layers.2.mlp', 'layers.5.attn']) await choose(page, unit, 'remat');
    },
    ['--drop', 'layers.1.attn', '--remat', 'layers.2.mlp,layers.5.attn'],
  ],
  [
    'all, but one again',
    async (page) => {
      await page.click('#all');
      await choose(page, 'layers.2.attn', 'full');
    },
    [
      '--drop',
      [
        'layers.0.attn',
        'layers.0.mlp',
        'layers.1.attn',
        'layers.1.mlp',
        'layers.2.mlp',
        ...[3, 4, 5].flatMap((i) => [`layers.${i}.attn`, `layers.${i}.mlp`]),
      ].join(','),
    ],
  ],
  [
    'at random',
    async (page) => {
      await page.evaluate(`document.getElementById('rate').value = '0.7'; document.getElementById('seed').value = '3'`);
      await page.click('#random');
    },
    ['--drop-rate', '0.7', '--seed', '3'],
  ],
  [
    'by keys',
    async (page) => {
      await page.focus('[data-site="layers.4.mlp"] input[value="full"]');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
    },
    ['--drop', 'layers.4.mlp'],
  ],
])('drops %s as the command line does', async (_, act, args) => {
  await withPage(async (page) => {
    await act(page);
    const wanted = await expected(args);
    expect(await numbers(page)).toEqual(wanted);
    const shown = (await page.$$eval('[data-quantity]', (all) => all.map((e) => [e.getAttribute('data-quantity'), e.textContent]))) as [keyof Totals, string][];
    expect(shown).toEqual(QUANTITIES.map((key) => [key, amount(wanted[key], QUANTITY_TEXT[key].unit).trim()]));
  });
});

it('takes patterns from scripts, and drops nothing again when told to', async () => {
  await withPage(async (page) => {
    const whole = await numbers(page);
    await page.evaluate(`window.ebb.setPattern({ 'layers.3.mlp': 'dropped' })`);
    expect(await numbers(page)).toEqual(await expected(['--drop', 'layers.3.mlp']));
    expect(await page.$eval('[data-site="layers.3.mlp"] input[value="dropped"]', (radio) => radio.checked)).toBe(true);
    await page.click('#none');
    expect(await numbers(page)).toEqual(whole);
  });
});

it('draws memory call by call, with a gap for what is dropped', async () => {
  await withPage(async (page) => {
    const bars = (): Promise<number> => page.$$eval('.plot rect.kept', (all) => all.length);
    const before = await bars();
    expect(before).toBe(28);
    await page.click('#all');
    expect(await bars()).toBe(before - 12);
    await page.focus('.plot');
    await page.keyboard.press('ArrowRight');
    expect(await page.$eval('.readout', (e) => e.textContent)).toMatch(/^embed · forward · kept .* · scratch .* · slots /);
  });
});

it('shows graphs, and the values, lines, IR and WGSL of a kernel', async () => {
  await withPage(async (page) => {
    await page.click('[data-site="layers.3.mlp"] .name');
    const panes = await page.$$eval('.pane', (all) => all.map((e) => e.getAttribute('data-function')));
    expect(panes).toEqual(['mlp.fwd', 'mlp.bwd']);
    const kernels = await page.$$('.pane:first-child .node.kernel');
    expect(kernels).toHaveLength(3);
    await page.evaluate(`document.querySelector('.pane .node.kernel.of-dot').click()`);
    const text = await page.$eval('.details', (e) => e.textContent);
    expect(text).toMatch(/@compute @workgroup_size/);
    expect(text).toMatch(/llama\.ts:\d+:\d+/);
    expect(text).toMatch(/f32\[B,T,352\]/);
    expect(text).toMatch(/model\.layers\.3\.mlp\.\w+_proj\.weight/);
  });
});

/** For each frame of a graph: its scale, its width, and the width of its contents. */
const frames = (page: Page): Promise<[number, number, number][]> =>
  page.evaluate(`[...document.querySelectorAll('.pane .frame')].map((f) => [Number(f.dataset.scale), f.clientWidth, f.scrollWidth])`) as Promise<
    [number, number, number][]
  >;

it('shows a wide graph whole when it is asked to, and stays so when something in it is chosen', async () => {
  await withPage(async (page) => {
    await page.click('[data-site="layers.3.attn"] .name');
    await page.waitForFunction(`document.querySelector('.pane .frame').dataset.scale !== undefined`);
    const [, wide] = await frames(page);
    // at a scale at which it can be read, it has to be scrolled
    expect(wide![0]).toBe(0.72);
    expect(wide![2]).toBeGreaterThan(wide![1]);
    const inBackward = async (button: string): Promise<void> => (await page.$(`.pane:nth-child(2) .zoom button::-p-text(${button})`))!.click();
    await inBackward('fit');
    const [, fitted] = await frames(page);
    expect(fitted![0]).toBeLessThan(0.72);
    expect(fitted![2]).toBeLessThanOrEqual(fitted![1]);
    await page.evaluate(`document.querySelector('.pane:nth-child(2) .node.kernel').click()`);
    await page.waitForFunction(`document.querySelectorAll('.pane .frame')[1].dataset.scale !== undefined`);
    expect((await frames(page))[1]).toEqual(fitted);
    await inBackward('+');
    expect((await frames(page))[1]![0]).toBeCloseTo(1.25 * fitted![0], 6);
  });
});

it('brings what was chosen into view where everything is one column', async () => {
  await withPage(
    async (page) => {
      const top = (): Promise<number> => page.$eval('.details', (e) => e.getBoundingClientRect().top);
      expect(await top()).toBeGreaterThan(800);
      await page.evaluate(`document.querySelector('.pane .node.kernel').click()`);
      // it cannot be scrolled to the top, because the page ends below it
      expect(Math.abs(await top())).toBeLessThan(600);
    },
    { width: 400, height: 800 },
  );
});

it.each([400, 800, 1280, 1920])('fits a window %i wide', async (width) => {
  await withPage(
    async (page) => {
      await page.click('#random');
      const [wide, cut] = (await page.evaluate(`[
        document.documentElement.scrollWidth,
        [...document.querySelectorAll('.quantity strong, .quantity .change, .row .name')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent),
      ]`)) as [number, string[]];
      expect(wide).toBeLessThanOrEqual(width);
      expect(cut).toEqual([]);
    },
    { width, height: 900 },
  );
});

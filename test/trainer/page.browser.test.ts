/** @file The page of a standalone trainer in a real browser, with WebGPU on its software adapter: the losses of the command line. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, ElementHandle, Page } from 'puppeteer-core';
import { bytesSource } from '../../src/formats/bytes.ts';
import { parseSafetensors } from '../../src/formats/safetensorsHeader.ts';
import { openBrowser, openPage } from '../support/chromium.ts';
import { runCli, TINY_MODEL } from '../support/cli.ts';
import { runNode } from '../support/node.ts';
import { type FolderServer, serveFolder } from '../support/server.ts';

const scratch = mkdtempSync(join(tmpdir(), 'ebb-trainer-page-'));
const at = (name: string): string => join(scratch, name);
const folders = { full: at('full'), lora: at('lora') };
const WEIGHTS = join(TINY_MODEL, 'model.safetensors');
const STEPS = 3;
let browser: Browser | null;

beforeAll(async () => {
  writeFileSync(
    at('tokens.bin'),
    Int32Array.from({ length: STEPS * 2 * 25 }, (_, i) => (i * 37 + (i >> 3)) % 1024),
  );
  writeFileSync(at('long.bin'), new Int32Array(2 * 26));
  const flags = { full: [], lora: ['--rank', '4', '--lora-layers', '*.q_proj', '--drop-rate', '0.25'] };
  for (const [name, own] of Object.entries(flags)) {
    const run = await runCli(['compile', TINY_MODEL, '-o', at(name), '--batch', '2', '--length', '24', '--standalone', ...own]);
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  }
  browser = await openBrowser({ webgpu: true });
  if (!browser) console.warn('no Chromium on this platform: the page is not opened');
});
afterAll(async () => {
  await browser?.close();
  rmSync(scratch, { recursive: true });
});

/** Serves and opens a trainer's page, hands it over, and fails for anything on its console but what is expected there. */
async function withPage(folder: string, work: (page: Page) => Promise<void>, width = 1000): Promise<void> {
  if (!browser) return;
  const server: FolderServer = await serveFolder(folder);
  try {
    const { page, complaints } = await openPage(browser, server.url, { width, height: 900 });
    await work(page);
    expect(complaints).toEqual([]);
    await page.close();
  } finally {
    await server.close();
  }
}

async function chooseFile(page: Page, name: string, file: string): Promise<void> {
  const field = (await page.waitForSelector(`input[name="${name}"]`)) as ElementHandle<HTMLInputElement>;
  await field.uploadFile(file);
}
const setNumber = (page: Page, name: string, value: number): Promise<void> => page.$eval(`input[name="${name}"]`, (e, v) => void (e.value = String(v)), value);
const enabled = (page: Page, selector: string): Promise<boolean> => page.$eval(selector, (e) => !e.matches(':disabled'));
const status = (page: Page): Promise<string> => page.$eval('output', (e) => e.textContent);

/** Every text the status line ever shows, in order. */
async function watchStatus(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(`
    window.said = [];
    new MutationObserver(() => said.push(document.querySelector('output').textContent)).observe(document.querySelector('output'), { childList: true });
  `);
  return () => page.evaluate('window.said') as Promise<string[]>;
}

async function train(page: Page): Promise<void> {
  await page.waitForSelector('button[type="submit"]:not(:disabled)');
  await page.click('button[type="submit"]');
  await page.waitForSelector('output:is([data-state="done"], [data-state="failed"])', { timeout: 240_000 });
}

/** What the download link gives. */
async function download(page: Page): Promise<{ name: string; bytes: Buffer }> {
  const [name, base64] = (await page.evaluate(`(async () => {
    const link = document.querySelector('a.download');
    const bytes = new Uint8Array(await (await fetch(link.href)).arrayBuffer());
    let text = '';
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return [link.download, btoa(text)];
  })()`)) as [string, string];
  return { name, bytes: Buffer.from(base64, 'base64') };
}

interface CommandRun {
  readonly losses: readonly number[];
  readonly dropped: readonly number[];
  readonly trained: Buffer;
}

async function commandLine(folder: string, result: string, flags: readonly string[]): Promise<CommandRun> {
  const out = at(`${result.replace(/\W/g, '-')}-run`);
  const common = ['--weights', WEIGHTS, '--data', at('tokens.bin'), '--steps', String(STEPS), '--out', out];
  const run = await runNode(join(folder, 'trainer.js'), [...common, ...flags]);
  expect({ code: run.code, stderr: run.code === 0 ? '' : run.stderr }).toEqual({ code: 0, stderr: '' });
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const metrics = lines.map((line) => JSON.parse(line) as { loss: number; dropped: string[][] });
  return { losses: metrics.map((m) => m.loss), dropped: metrics.map((m) => m.dropped.flat().length), trained: readFileSync(join(out, result)) };
}

const floats = (file: Buffer): Map<string, Float32Array> => {
  const { tensors } = parseSafetensors(bytesSource('file', file));
  return new Map(
    [...tensors].map(([name, t]) => [name, new Float32Array(file.buffer.slice(file.byteOffset + t.byteOffset, file.byteOffset + t.byteOffset + t.byteLength))]),
  );
};

/** The same tensors, and close to the same numbers. */
function expectSameTensors(found: Buffer, expected: Buffer): void {
  const [a, b] = [floats(found), floats(expected)];
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  for (const [name, values] of b) {
    const own = a.get(name)!;
    expect({ name, length: own.length }).toEqual({ name, length: values.length });
    const apart = values.reduce((most, x, i) => Math.max(most, Math.abs(x - own[i]!)), 0);
    expect({ name, close: apart < 5e-3 }).toEqual({ name, close: true });
  }
}

it('trains the losses of the command line, draws them, and hands over the model', async () => {
  const flags = ['--lr', '1e-3', '--drop-rate', '0.5', '--seed', '4'];
  await withPage(folders.full, async (page) => {
    await chooseFile(page, 'data', at('tokens.bin'));
    await chooseFile(page, 'weights', WEIGHTS);
    for (const [name, value] of Object.entries({ steps: STEPS, lr: 1e-3, dropRate: 0.5, seed: 4 })) await setNumber(page, name, value);
    const said = await watchStatus(page);
    await train(page);
    const expected = await commandLine(folders.full, 'result/model.safetensors', flags);
    const steps = (await said()).flatMap((text) => {
      const [, step, loss, dropped] = /^Step (\d) of 3 · loss ([\d.]+) · \d+ tokens\/s · backward dropped (\d+) %$/.exec(text) ?? [];
      return step === undefined ? [] : [{ step: Number(step), loss: Number(loss), dropped: Number(dropped) }];
    });
    expect(steps.map(({ step, dropped }) => ({ step, dropped }))).toEqual(
      expected.dropped.map((units, i) => ({ step: i + 1, dropped: Math.round((100 * units) / 12) })),
    );
    expected.losses.forEach((loss, i) => expect(Math.abs(steps[i]!.loss - loss)).toBeLessThan(1e-4));
    expect(await status(page)).toMatch(/^Done: 3 steps · loss [\d.]+ → [\d.]+$/);
    expect(await page.$eval('progress', (e) => e.value)).toBe(1);
    const corners = await page.$eval('svg .line', (e) =>
      [...(e.getAttribute('d') ?? '').matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]),
    );
    expect(corners.map(([x]) => x)).toEqual([0, 500, 1000]);
    const [low, high] = [Math.min(...expected.losses), Math.max(...expected.losses)];
    expected.losses.forEach((loss, i) => expect(Math.abs(corners[i]![1]! - (250 * (high - loss)) / (high - low))).toBeLessThan(1));
    const labels = await page.$$eval('.scale span', (all) => all.map((e) => e.textContent));
    expect(labels).toEqual([high.toFixed(3), ((high + low) / 2).toFixed(3), low.toFixed(3), 'step 1', 'step 3']);
    const { name, bytes } = await download(page);
    expect(name).toBe('model.safetensors');
    expectSameTensors(bytes, expected.trained);
  });
});

it('trains an adapter at the drop rate it was compiled with, and hands over a PEFT file', async () => {
  await withPage(folders.lora, async (page) => {
    expect(await page.$eval('input[name="dropRate"]', (e) => e.value)).toBe('0.25');
    await chooseFile(page, 'data', at('tokens.bin'));
    await chooseFile(page, 'weights', WEIGHTS);
    for (const [name, value] of Object.entries({ steps: STEPS, lr: 1e-2 })) await setNumber(page, name, value);
    await train(page);
    const expected = await commandLine(folders.lora, 'result/adapter_model.safetensors', ['--lr', '1e-2']);
    const [, first, last] = /^Done: 3 steps · loss ([\d.]+) → ([\d.]+)$/.exec(await status(page))!;
    expect(Math.abs(Number(first) - expected.losses[0]!)).toBeLessThan(1e-4);
    expect(Math.abs(Number(last) - expected.losses[2]!)).toBeLessThan(1e-4);
    const { name, bytes } = await download(page);
    expect(name).toBe('adapter_model.safetensors');
    expectSameTensors(bytes, expected.trained);
  });
});

it('draws parameters where no weights are given, stops when asked, and can train again', async () => {
  await withPage(folders.full, async (page) => {
    await chooseFile(page, 'data', at('tokens.bin'));
    await setNumber(page, 'steps', 1000);
    await page.waitForSelector('button[type="submit"]:not(:disabled)');
    expect(await enabled(page, 'button[type="button"]')).toBe(false);
    await page.click('button[type="submit"]');
    await page.waitForFunction(`/^Step 2/.test(document.querySelector('output').textContent)`);
    expect([await enabled(page, 'button[type="submit"]'), await enabled(page, 'input[name="steps"]')]).toEqual([false, false]);
    await page.click('button[type="button"]');
    await page.waitForSelector('output[data-state="done"]');
    expect(await status(page)).toMatch(/^Stopped after \d+ of 1000 steps · loss 6\.9\d+ → /);
    expect(parseSafetensors(bytesSource('file', (await download(page)).bytes)).tensors.size).toBeGreaterThan(20);
    await setNumber(page, 'steps', 1);
    await train(page);
    expect(await status(page)).toMatch(/^Done: 1 step · loss 6\.9/);
    expect(await page.$$eval('.steps span', (all) => all.map((e) => e.textContent))).toEqual(['step 1']);
  });
});

it('says in one sentence what does not fit', async () => {
  await withPage(folders.full, async (page) => {
    await chooseFile(page, 'data', at('long.bin'));
    await train(page);
    expect(await page.$eval('output', (e) => e.dataset['state'])).toBe('failed');
    expect(await status(page)).toBe('long.bin: holds 52 tokens, expected steps of 2 × 25, [batch, length + 1]; give the batch and length it was made for');
    expect(await enabled(page, 'button[type="submit"]')).toBe(true);
    expect(await page.$('a.download')).toBe(null);
    // the browser's own check of the form
    await setNumber(page, 'dropRate', 1.5);
    expect(await page.$eval('form', (e) => e.checkValidity())).toBe(false);
  });
});

it('says so where a browser has no WebGPU, and when it is opened as a file', async () => {
  const plain = await openBrowser();
  if (!plain) return;
  const server = await serveFolder(folders.full);
  try {
    const { page, complaints } = await openPage(plain, server.url, { width: 800, height: 600 });
    await page.waitForSelector('output[data-state="failed"]');
    expect(await status(page)).toBe('this browser offers no WebGPU adapter; use a browser with WebGPU, over https or on localhost');
    expect(await enabled(page, 'button[type="submit"]')).toBe(false);
    expect(complaints.filter((c) => !/No available adapters|WebGPU Context Provider/.test(c))).toEqual([]);
    const { page: local } = await openPage(plain, new URL(`file://${folders.full}/index.html`), { width: 800, height: 600 });
    expect(await local.$eval('main', (e) => e.textContent)).toMatch(/^Browsers open this page from a server alone: run "npx serve"/);
  } finally {
    await server.close();
    await plain.close();
  }
});

it.each([360, 1000])('fits a window %i wide', async (width) => {
  await withPage(folders.full, async (page) => expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width), width);
});

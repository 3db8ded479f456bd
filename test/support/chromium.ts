/** @file A headless Chromium: the one that comes along with `@sparticuz/chromium`, driven through puppeteer. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import chromium from '@sparticuz/chromium';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { untar } from '../../src/node/swiftshader.ts';
import { ROOT } from './cli.ts';

/** Libraries for machines without a desktop's, where the browser lacks some of its own. */
function libraryFolder(executable: string): string | null {
  if (!execFileSync('ldd', [executable], { encoding: 'utf8' }).includes('not found')) return null;
  const folder = mkdtempSync(join(tmpdir(), 'ebb-chromium-'));
  const archive = join(ROOT, 'node_modules/@sparticuz/chromium/bin/al2023.tar.br');
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of untar(brotliDecompressSync(readFileSync(archive)))) writeFileSync(join(folder, basename(name)), bytes);
  return folder;
}

const NO_GPU = ['--disable-gpu'];
/** WebGPU on the SwiftShader that comes along with the browser. */
const WEBGPU = ['--enable-unsafe-webgpu', '--enable-unsafe-swiftshader', '--use-webgpu-adapter=swiftshader', '--ignore-gpu-blocklist'];

/** Null where the optional package is not installed. */
export async function openBrowser(options: { readonly webgpu: boolean } = { webgpu: false }): Promise<Browser | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64' || !existsSync(join(ROOT, 'node_modules/@sparticuz/chromium/bin'))) return null;
  const executablePath = await chromium.executablePath();
  const libraries = libraryFolder(executablePath);
  return puppeteer.launch({
    executablePath,
    headless: 'shell',
    args: ['--no-sandbox', '--font-render-hinting=none', ...(options.webgpu ? WEBGPU : NO_GPU)],
    env: { ...process.env, ...(libraries ? { LD_LIBRARY_PATH: libraries } : {}) },
  });
}

/** Opens an address; `complaints` fills with whatever the console and the network report, and with requests to elsewhere. */
export async function openPage(
  browser: Browser,
  address: URL,
  size: { width: number; height: number },
  dark = false,
): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const own = (url: string): boolean => /^(data|blob):/.test(url) || (address.protocol === 'file:' ? url.startsWith('file:') : url.startsWith(address.origin));
  page.on('console', (message) => void (['error', 'warn'].includes(message.type()) && complaints.push(message.text())));
  page.on('pageerror', (error) => void complaints.push(String(error)));
  page.on('request', (request) => void (own(request.url()) || complaints.push(`asks for ${request.url()}`)));
  await page.setViewport(size);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  await page.goto(address.href, { waitUntil: 'load' });
  return { page, complaints };
}

/** @file Fetching from a hub: a local server with the routes the hub library uses. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateData } from '../../src/data/locate.ts';
import { readRecords } from '../../src/data/records.ts';
import { hubFolder, isHubId } from '../../src/formats/hub.ts';
import { dataPath } from '../../src/run/dataPath.ts';
import type { Progress } from '../../src/run/progress.ts';
import { modelPath } from '../../src/session/modelPath.ts';

const SHA = 'a'.repeat(40);
const FILES: Record<string, Buffer> = {
  'config.json': Buffer.from('{"model_type":"llama"}'),
  'model.safetensors': Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i % 251)),
  'pytorch_model.bin': Buffer.from('not wanted'),
};

/** The files of a data set. */
const SHARDS: Record<string, Buffer> = {
  'README.md': Buffer.from('# Shards'),
  'data/train-00001-of-00002.jsonl': Buffer.from('{"text":"second"}\n'),
  'data/train-00000-of-00002.jsonl': Buffer.from('{"text":"first"}\n'),
  'data/test-00000-of-00001.jsonl': Buffer.from('{"text":"held out"}\n'),
};

let server: Server;
let hubUrl: string;
let cacheDir: string;
/** `path from-to` of every download request. */
let requests: string[];
/** Bytes after which the connection breaks off; once. */
let breakAfter: number;

beforeEach(async () => {
  requests = [];
  breakAfter = Number.POSITIVE_INFINITY;
  cacheDir = mkdtempSync(join(tmpdir(), 'ebb-hub-'));
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const json = (value: unknown): void => void response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
    if (url.pathname === '/api/models/org/tiny/revision/main') return json({ _id: '1', id: 'org/tiny', sha: SHA, downloads: 0, likes: 0 });
    if (url.pathname === `/api/models/org/tiny/tree/${SHA}`) {
      return json(Object.entries(FILES).map(([path, data], i) => ({ type: 'file', path, size: data.length, oid: `${i}`.repeat(40) })));
    }
    if (url.pathname === '/api/datasets/org/shards/revision/main') return json({ _id: '2', id: 'org/shards', sha: SHA, downloads: 0, likes: 0 });
    if (url.pathname === `/api/datasets/org/shards/tree/${SHA}`)
      return json(Object.entries(SHARDS).map(([path, data], i) => ({ type: 'file', path, size: data.length, oid: `${i + 4}`.repeat(40) })));
    const data = SHARDS[url.pathname.replace(`/datasets/org/shards/resolve/${SHA}/`, '')] ?? FILES[url.pathname.replace(`/org/tiny/resolve/${SHA}/`, '')];
    if (!data) return void response.writeHead(404).end('{"error":"Repository not found"}');
    const [, from = '0', to = ''] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = [Number(from), to === '' ? data.length - 1 : Math.min(Number(to), data.length - 1)];
    if (end > 0) requests.push(`${url.pathname.split('/').at(-1)} ${start}-${end}`);
    response.writeHead(request.headers.range ? 206 : 200, {
      'content-range': `bytes ${start}-${end}/${data.length}`,
      'content-length': end - start + 1,
      etag: '"e"',
    });
    if (end - start + 1 > breakAfter) {
      response.write(data.subarray(start, start + breakAfter), () => setTimeout(() => response.destroy(), 50));
      breakAfter = Number.POSITIVE_INFINITY;
      return;
    }
    response.end(data.subarray(start, end + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  rmSync(cacheDir, { recursive: true });
});

it('knows an id from a path', () => {
  expect(['org/name', 'HuggingFaceTB/SmolLM2-135M'].every(isHubId)).toBe(true);
  expect(['name', './org/name', 'a/b/c', '../x', '/a/b', 'a/..', 'a\\b'].some(isHubId)).toBe(false);
});

it('downloads what a checkpoint needs, once', async () => {
  const folder = await hubFolder('org/tiny', { hubUrl, cacheDir });
  expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']);
  for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name)).equals(FILES[name]!)).toBe(true);
  const before = requests.length;
  expect(await hubFolder('org/tiny', { hubUrl, cacheDir })).toBe(folder);
  expect(requests.length).toBe(before);
});

it('leaves weights where they are for who needs none, and fetches them later', async () => {
  const folder = await hubFolder('org/tiny', { hubUrl, cacheDir, weights: false });
  expect(readdirSync(folder)).toEqual(['config.json']);
  expect(await hubFolder('org/tiny', { hubUrl, cacheDir })).toBe(folder);
  expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']);
});

it('takes the endpoint from HF_ENDPOINT', async () => {
  process.env['HF_ENDPOINT'] = hubUrl;
  try {
    expect(readdirSync(await hubFolder('org/tiny', { cacheDir }))).toContain('config.json');
  } finally {
    delete process.env['HF_ENDPOINT'];
  }
});

it('downloads a data set by its id, and reads the shards of its split train', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { HF_ENDPOINT: hubUrl, HF_HUB_CACHE: cacheDir });
  try {
    const path = await dataPath('org/shards');
    const texts: unknown[] = [];
    for await (const { example } of readRecords(locateData(path))) texts.push(Object.values(example).at(-1));
    expect(texts).toEqual(['first', 'second']);
    expect(locateData(path).notes.join()).toContain('2 files to train on are read, not data/test-00000-of-00001.jsonl');
    expect(await dataPath('org/shards')).toBe(path);
    // what has the ending of a file is none of the hub's
    expect(await dataPath('org/shards.jsonl')).toBe('org/shards.jsonl');
  } finally {
    process.env = before;
  }
});

it('goes on where a broken download ended', async () => {
  breakAfter = 100_000;
  await expect(hubFolder('org/tiny', { hubUrl, cacheDir })).rejects.toMatchObject({ name: 'EbbError' });
  requests = [];
  const seen: number[] = [];
  const folder = await hubFolder('org/tiny', { hubUrl, cacheDir, onProgress: (file, done) => file === 'model.safetensors' && seen.push(done) });
  expect(readFileSync(join(folder, 'model.safetensors')).equals(FILES['model.safetensors']!)).toBe(true);
  const [request] = requests.filter((r) => r.startsWith('model.safetensors'));
  expect(Number(/ (\d+)-/.exec(request ?? '')?.[1])).toBeGreaterThan(0);
  expect(seen.at(-1)).toBe(300_000);
});

it('says which model cannot be fetched', async () => {
  await expect(hubFolder('org/none', { hubUrl, cacheDir })).rejects.toMatchObject({ name: 'EbbError', message: expect.stringContaining('org/none') });
  await expect(hubFolder('../x', { hubUrl, cacheDir })).rejects.toMatchObject({ name: 'EbbError' });
});

it('a command is told which file is downloaded, and how large it is', async () => {
  const told: Progress[] = [];
  expect(await modelPath('org/tiny', { hubUrl, cacheDir }, { onProgress: (progress) => told.push(progress) })).toMatch(new RegExp(`${SHA}$`));
  const sizes = new Map(told.flatMap((one) => (one.kind === 'pieces' && one.unit === 'bytes' ? [[one.what, one.total] as const] : [])));
  expect([...sizes]).toEqual([
    ['downloading config.json', FILES['config.json']!.length],
    ['downloading model.safetensors', FILES['model.safetensors']!.length],
  ]);
  expect(told.at(-1)).toMatchObject({ what: 'downloading model.safetensors', done: FILES['model.safetensors']!.length });
});

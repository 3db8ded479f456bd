/** @file Downloads a model or a data set by its hub id ("org/name") into a local folder, laid out as the hub library lays out its cache. A download that broke off goes on. */

import { createWriteStream } from 'node:fs';
import { rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { datasetInfo, downloadFile, getHFHubCachePath, getRepoFolderName, listFiles, modelInfo } from '@huggingface/hub';
import { EbbError } from '../errors.ts';
import { fileExists, makeFolder } from './files.ts';
import { FURTHER_TEMPLATES, isSideFile } from './sideFiles.ts';

export interface HubOptions {
  /** Branch, tag or commit; default main. */
  readonly revision?: string | undefined;
  /** Default: HF_ENDPOINT, or the library's own. */
  readonly hubUrl?: string | undefined;
  /** Default: as Hugging Face's tools (HF_HUB_CACHE, HF_HOME, ~/.cache/huggingface/hub). */
  readonly cacheDir?: string | undefined;
  readonly accessToken?: string | undefined;
  /** Whether weights are fetched too; default true. */
  readonly weights?: boolean | undefined;
  /** Takes the files of a data set, by their paths in it, where the id is that of one; default: it is that of a model. */
  readonly dataset?: ((path: string) => boolean) | undefined;
  /** Called as bytes arrive; `total` is the size of the file. */
  readonly onProgress?: ((file: string, done: number, total: number) => void) | undefined;
  /** Ends what is being fetched: the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const HUB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** What a checkpoint needs besides what comes along with weights; weights in other formats are left where they are. */
const WANTED = /^(?:config|adapter_config|model\.safetensors\.index)\.json$|^[^/]+\.safetensors$/;

const WEIGHTS = /\.safetensors$/;

/** Whether a text looks like a hub id and is no local path. */
export function isHubId(text: string): boolean {
  return HUB_ID.test(text) && !text.includes('..');
}

interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** Names the content. */
  readonly etag: string;
}

interface Target {
  readonly repo: { readonly type: 'model' | 'dataset'; readonly name: string };
  readonly revision: string;
  readonly hubUrl?: string;
  readonly accessToken?: string;
  readonly fetch?: typeof fetch;
}

/** A file's bytes so far: 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (s) => s.size,
    () => 0,
  );
}

/** Downloads one file to `blob`, going on where an earlier download ended. */
async function downloadBlob(target: Target, file: RemoteFile, blob: string, onProgress: HubOptions['onProgress']): Promise<void> {
  const partial = `${blob}.incomplete`;
  const remote = await downloadFile({ ...target, path: file.path });
  if (!remote) throw new EbbError(`${target.repo.name}: ${file.path} is listed but cannot be downloaded`);
  if ((await sizeOf(partial)) > remote.size) await rm(partial, { force: true });
  let done = await sizeOf(partial);
  if (done < remote.size || done === 0) {
    const rest = Readable.fromWeb(remote.slice(done).stream() as Parameters<typeof Readable.fromWeb>[0]);
    rest.on('data', (chunk: Uint8Array) => onProgress?.(file.path, (done += chunk.length), remote.size));
    await pipeline(rest, createWriteStream(partial, { flags: 'a' }));
  }
  const size = await sizeOf(partial);
  if (size !== remote.size)
    throw new EbbError(`${target.repo.name}: ${file.path} ended at byte ${size}, expected ${remote.size}; run again to go on from there`);
  await rename(partial, blob);
}

/** Puts a file of a snapshot where the other tools look for it: a link to its content, a copy where links are not allowed. */
async function place(blob: string, pointer: string): Promise<void> {
  await rm(pointer, { force: true });
  await symlink(relative(dirname(pointer), blob), pointer).catch(async () => {
    const { copyFile } = await import('node:fs/promises');
    await copyFile(blob, pointer);
  });
}

/** The files of a repository; without `recursive` those at its top and its further chat templates. */
async function* listed(target: Target, recursive: boolean): ReturnType<typeof listFiles> {
  for await (const entry of listFiles({ ...target, recursive })) {
    yield entry;
    if (!recursive && entry.type === 'directory' && entry.path === FURTHER_TEMPLATES) yield* listFiles({ ...target, path: FURTHER_TEMPLATES });
  }
}

async function listWanted(target: Target, { weights = true, dataset }: HubOptions): Promise<RemoteFile[]> {
  const files: RemoteFile[] = [];
  const isWanted = dataset ?? ((path: string): boolean => (WANTED.test(path) || isSideFile(path)) && (weights || !WEIGHTS.test(path)));
  for await (const entry of listed(target, dataset !== undefined)) {
    if (entry.type !== 'file' || !isWanted(entry.path)) continue;
    const etag = entry.lfs?.oid ?? entry.oid;
    if (!/^[A-Za-z0-9._-]+$/.test(etag ?? '')) throw new EbbError(`${target.repo.name}: the hub gives no usable id for ${entry.path}`);
    files.push({ path: entry.path, size: entry.size, etag: String(etag) });
  }
  if (files.length === 0)
    throw new EbbError(
      `${target.repo.name}: holds none of the files Ebb reads, expected ${dataset ? 'data such as parquet or JSONL' : 'config.json and safetensors'}`,
    );
  return files;
}

async function snapshot(name: string, options: HubOptions): Promise<string> {
  const hubUrl = options.hubUrl ?? process.env['HF_ENDPOINT'];
  const accessToken = options.accessToken ?? process.env['HF_TOKEN'];
  const { signal } = options;
  const abortable: typeof fetch = (input, init) => fetch(input, { ...init, ...(signal ? { signal } : {}) });
  const common = { fetch: abortable, ...(hubUrl ? { hubUrl } : {}), ...(accessToken ? { accessToken } : {}) };
  const repo = { type: options.dataset ? 'dataset' : 'model', name } as const;
  const storage = join(options.cacheDir ?? getHFHubCachePath(), getRepoFolderName(repo));
  const revision = options.revision ?? 'main';
  const asked = { name, revision, ...common };
  const { sha } = options.dataset ? await datasetInfo({ ...asked, additionalFields: ['sha'] }) : await modelInfo({ ...asked, additionalFields: ['sha'] });
  if (!/^[0-9a-f]{40}$/.test(sha))
    throw new EbbError(`${name}: the hub gives ${JSON.stringify(sha)} as the commit of ${revision}, expected 40 hexadecimal digits`);
  const folder = join(storage, 'snapshots', sha);
  const target = { repo, revision: sha, ...common };
  makeFolder(folder);
  makeFolder(join(storage, 'blobs'));
  for (const file of await listWanted(target, options)) {
    const pointer = join(folder, file.path);
    if (fileExists(pointer)) continue;
    const blob = join(storage, 'blobs', file.etag);
    if (!fileExists(blob)) await downloadBlob(target, file, blob, options.onProgress);
    makeFolder(dirname(pointer));
    await place(blob, pointer);
  }
  if (revision !== sha && /^[\w./-]+$/.test(revision) && !revision.includes('..')) {
    makeFolder(dirname(join(storage, 'refs', revision)));
    await writeFile(join(storage, 'refs', revision), sha);
  }
  return folder;
}

/**
 * The local folder of a hub model, downloaded where it is not complete yet; files that are there are not fetched again, a broken-off
 * download goes on from its last byte. Throws an EbbError that names the model and what the hub answered.
 */
export async function hubFolder(name: string, options: HubOptions = {}): Promise<string> {
  if (!isHubId(name)) throw new EbbError(`${name}: is no hub id, expected organisation/name`);
  options.signal?.throwIfAborted();
  try {
    return await snapshot(name, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof EbbError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
    throw new EbbError(
      `${name}: cannot be fetched from the hub: ${error instanceof Error ? error.message : String(error)}${cause}; check the name and the connection, then run again`,
    );
  }
}

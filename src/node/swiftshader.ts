/** @file SwiftShader, the software adapter that comes along: unpacked once out of `@sparticuz/chromium` into the user's cache. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

export interface SwiftShader {
  /** The Vulkan loader and the driver's manifest. */
  readonly loader: string;
  readonly icd: string;
}

export function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ebb');
}

const BLOCK = 512;

/** Regular files of an uncompressed tar archive (POSIX ustar). */
export function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const text = (from: number, length: number): string =>
    Buffer.from(archive.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0.*$/s, '');
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const name = text(at, 100);
    if (name === '') break;
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8);
    const kind = text(at + 156, 1);
    if (kind === '0' || kind === '') files.set(name, archive.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function packagedArchive(): { file: string; version: string } | null {
  try {
    const require = createRequire(join(process.cwd(), 'package.json'));
    const own = createRequire(import.meta.url);
    const entry = resolveFirst([own, require], '@sparticuz/chromium');
    if (entry === null) return null;
    let folder = dirname(entry);
    while (!existsSync(join(folder, 'bin', 'swiftshader.tar.br'))) {
      if (dirname(folder) === folder) return null;
      folder = dirname(folder);
    }
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { file: join(folder, 'bin', 'swiftshader.tar.br'), version };
  } catch {
    return null;
  }
}

function resolveFirst(resolvers: readonly NodeRequire[], name: string): string | null {
  for (const require of resolvers) {
    try {
      return require.resolve(name);
    } catch {
      // the next place
    }
  }
  return null;
}

/** Unpacks the archive into a folder of the cache: aside and renamed, as workers may do it at the same time. @throws Error of the file system */
function unpack(archive: string, folder: string): void {
  mkdirSync(cacheFolder(), { recursive: true });
  const aside = mkdtempSync(join(cacheFolder(), 'unpacking-'));
  try {
    for (const [name, bytes] of untar(brotliDecompressSync(readFileSync(archive)))) {
      const target = join(aside, name);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, bytes);
    }
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    throw error;
  }
}

/** Finds or unpacks SwiftShader; null where the optional package is not installed, the platform is another, or the cache cannot be written. */
export function swiftShader(): SwiftShader | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const packaged = packagedArchive();
  if (!packaged) return null;
  const folder = join(cacheFolder(), `swiftshader-${packaged.version}`);
  const found: SwiftShader = { loader: join(folder, 'libvulkan.so.1'), icd: join(folder, 'vk_swiftshader_icd.json') };
  if (existsSync(found.icd)) return found;
  try {
    unpack(packaged.file, folder);
  } catch {
    // a home that cannot be written: other devices are there all the same
  }
  return existsSync(found.icd) ? found : null;
}

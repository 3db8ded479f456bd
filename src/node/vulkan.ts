/** @file Which Vulkan drivers a process may use, set up before Dawn is loaded: the system's, and SwiftShader's. */

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, swiftShader } from './swiftshader.ts';

const MANIFESTS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/local/nvidia/share/vulkan/icd.d'];

/** Manifests of the drivers the system has. */
function systemDrivers(): string[] {
  return MANIFESTS.flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((f) => f.endsWith('.json'))
          .map((f) => join(folder, f))
      : [],
  );
}

// The variables and libraries of a process are set up once; a second time would list SwiftShader twice.
let prepared = false;

/** A folder for what drivers keep while they run; null where none can be written, which they bear. */
function runtimeFolder(): string | null {
  for (const folder of [join(cacheFolder(), 'runtime'), join(tmpdir(), `ebb-runtime-${process.getuid?.() ?? ''}`)])
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      return folder;
    } catch {
      // the next place
    }
  return null;
}

/** Lists SwiftShader beside the system's drivers, and loads its Vulkan loader where the system has none. It must be called before Dawn is loaded; later calls do nothing. */
export function prepareVulkan(): void {
  if (prepared || process.platform !== 'linux') return;
  prepared = true;
  if (!process.env['XDG_RUNTIME_DIR']) {
    const folder = runtimeFolder();
    if (folder !== null) setVariable('XDG_RUNTIME_DIR', folder);
  }
  const software = swiftShader();
  const native = koffi();
  if (!software || !native) return;
  const chosen = process.env['VK_DRIVER_FILES'] ?? process.env['VK_ICD_FILENAMES'];
  const drivers = chosen === undefined ? systemDrivers() : chosen.split(':').filter((f) => f !== '');
  const list = [...drivers, software.icd].join(':');
  setVariable(process.env['VK_DRIVER_FILES'] === undefined ? 'VK_ICD_FILENAMES' : 'VK_DRIVER_FILES', list);
  // its symbols known to the process, Dawn's own search for the Vulkan loader finds it
  native.load(software.loader, { global: true });
}

interface Koffi {
  load(path: string, options?: { global: boolean }): { func(declaration: string): (...args: (string | number)[]) => number };
}

/** Null where the package was left out (a standalone trainer depends on webgpu alone): the system's own drivers are used then. */
function koffi(): Koffi | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')])
    try {
      return createRequire(from)('koffi') as Koffi;
    } catch {
      // the next place
    }
  return null;
}

/** Sets a variable where native code reads it too: a test runner's process.env may be a copy. */
function setVariable(name: string, value: string): void {
  process.env[name] = value;
  koffi()?.load('libc.so.6').func('int setenv(str, str, int)')(name, value, 1);
}

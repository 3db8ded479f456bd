/**
 * Packs the benchmark into one folder for a machine that has only a GPU and Node: bundles, the program that makes their data, and Dawn's
 * native file.
 *
 *   npm run bench:pack [-- FOLDER]         default: bench/packed, and bench/packed.tar.gz
 *   node bench.mjs [flags of npm run bench]     there, in the folder
 *
 * Ebb takes part there, and PyTorch where that machine's Python has it. The native files are those of the platform that packs.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { commitOf } from './machine.ts';

const BENCH = dirname(fileURLToPath(import.meta.url));
const MODULES = join(BENCH, '..', 'node_modules');
/** Packages with native files, which cannot be bundled. */
const NATIVE = ['webgpu', 'koffi', '@sparticuz/chromium'];
const PLATFORM = process.platform === 'darwin' ? 'darwin-universal' : `${process.platform}-${process.arch}`;
/** CommonJS packages inside the bundles load Node's modules by `require`, which ES modules lack. */
const REQUIRE = "import { createRequire as packRequire } from 'node:module'; const require = packRequire(import.meta.url);";

/** Leaves out files and packages of which nothing is used: the library exports more than the benchmark takes, such as what reads TypeScript. */
const used: Plugin = {
  name: 'what is used',
  setup(setup) {
    const seen = Symbol('seen');
    setup.onResolve({ filter: /./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
      if (pluginData === seen || kind !== 'import-statement' || NATIVE.includes(path) || importer.includes('node_modules')) return undefined;
      return { ...(await setup.resolve(path, { kind, importer, resolveDir, pluginData: seen })), sideEffects: false };
    });
  },
};

async function bundles(out: string): Promise<void> {
  await build({
    entryPoints: { bench: join(BENCH, 'index.ts'), ebb: join(BENCH, 'contestants/ebb.ts') },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: NATIVE,
    plugins: [used],
    banner: { js: REQUIRE },
    define: { 'process.env.EBB_BENCH_COMMIT': JSON.stringify(commitOf(BENCH)) },
    logLevel: 'warning',
  });
}

/** Copies the packages that Dawn is loaded from and that silence its output. @throws Error where they hold nothing for this platform */
function nativeModules(out: string): void {
  const dawn = join('webgpu', 'dist', PLATFORM);
  if (!existsSync(join(MODULES, dawn)))
    throw new Error(`node_modules/webgpu holds nothing for ${PLATFORM}; there is ${readdirSync(join(MODULES, 'webgpu', 'dist')).join(', ')}`);
  const paths = ['webgpu/package.json', 'webgpu/index.js', 'webgpu/LICENSE.md', dawn, 'koffi', '@koromix'];
  for (const path of paths) if (existsSync(join(MODULES, path))) cpSync(join(MODULES, path), join(out, 'node_modules', path), { recursive: true });
}

/** Writes the folder. */
export async function pack(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, 'peers'), { recursive: true });
  await bundles(out);
  for (const file of ['spec.json', 'data.py', 'peers/pytorch.py']) cpSync(join(BENCH, file), join(out, file));
  nativeModules(out);
}

const out = resolve(process.argv[2] ?? join(BENCH, 'packed'));
await pack(out);
const archive = `${out}.tar.gz`;
execFileSync('tar', ['-czf', archive, '-C', dirname(out), basename(out)]);
console.log(`wrote ${out} and ${archive}; on the other machine run \`node bench.mjs\` in the folder`);

/** @file What the page runs is the linker and its own parts: nothing of the compiler, nothing of Node. */

import { build } from 'esbuild';
import { ROOT } from '../support/cli.ts';

it('bundles for the browser without compiler and device', async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: ['src/inspect/page/main.ts'],
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs).toContain('src/runtime/link.ts');
  for (const input of inputs) expect(input).toMatch(/^src\/(inspect\/(page\/)?\w+|runtime\/\w+|dropbp\/[\w/]+|errors)\.ts$/);
  expect(outputFiles[0]?.text).not.toMatch(/createComputePipeline|compileModel|\brequire\(|['"]node:/);
});

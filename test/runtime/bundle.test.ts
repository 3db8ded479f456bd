/** @file The runtime runs in browsers: its bundle holds nothing of Node and nothing of the compiler. */

import { build } from 'esbuild';
import { ROOT } from '../support/cli.ts';

it('bundles for the browser out of its own folder alone', async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: ['src/runtime/index.ts'],
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.length).toBeGreaterThan(5);
  for (const input of inputs) expect(input).toMatch(/^src\/(runtime\/\w+|errors)\.ts$/);
  const [output] = outputFiles;
  expect(output?.text).not.toMatch(/\bprocess\.|\brequire\(|node:|\bBuffer\b/);
  expect(output?.text).toContain('createEngine');
});

/** @file The runtime runs in browsers: its bundle holds nothing of Node and nothing of the compiler. */

import { bundleForBrowser } from '../support/browserBundle.ts';

it('bundles for the browser out of its own folder, and how weights are stored', async () => {
  const { inputs, text } = await bundleForBrowser('src/runtime/index.ts');
  expect(inputs.length).toBeGreaterThan(5);
  for (const input of inputs) expect(input).toMatch(/^src\/(runtime\/(\w+\/)?\w+|cost|errors|formats\/(ggmlBlocks|floats|pieces))\.ts$/);
  expect(text).not.toMatch(/\bprocess\.|\brequire\(|node:|\bBuffer\b/);
  expect(text).toContain('createEngine');
});

/** @file The page runs the linker and its own parts, and nothing of the compiler or of Node. */

import { bundleForBrowser } from '../support/browserBundle.ts';

it('bundles for the browser without compiler and device', async () => {
  const { inputs, text } = await bundleForBrowser('src/inspect/page/main.ts');
  expect(inputs).toContain('src/runtime/link/link.ts');
  for (const input of inputs) expect(input).toMatch(/^src\/(inspect\/(page\/)?\w+|page\/browser\/\w+|runtime\/[\w/]+|dropbp\/[\w/]+|cost|errors)\.ts$/);
  expect(text).not.toMatch(/createComputePipeline|compileModel|\brequire\(|['"]node:/);
});

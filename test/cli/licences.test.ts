/** @file Standalone bundles carry the licence of every package that they hold a part of, and Ebb's own. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { bundleTrainer } from '../../src/session/standalone.ts';

const MODULES = join(__dirname, '../../node_modules');

it('every package in a bundle is named with its licence', async () => {
  const { bundleTrainer: bundled } = (await import('../../dist/session/standalone.js' as string)) as { bundleTrainer: typeof bundleTrainer };
  for (const [file, bytes] of await bundled({ trainer: "export * from 'ebb/trainer';", model: '' })) {
    const text = new TextDecoder().decode(bytes);
    const notices = text.slice(text.lastIndexOf('/*!'));
    // esbuild names each file in a comment before its code
    const packages = new Set(
      [...text.matchAll(/^\s*\/\/ [^\n]*?node_modules\/((?:[^\n]*\/node_modules\/)?(?:@[^/]+\/)?[^/\n]+)\//gm)].map(([, found]) => found!),
    );
    expect(packages.size).toBeGreaterThan(file === 'node.js' ? 3 : -1);
    for (const found of packages) {
      // a package may have another version of one for itself
      const { name, version } = JSON.parse(readFileSync(join(MODULES, found, 'package.json'), 'utf8')) as { name: string; version: string };
      expect(notices).toContain(`${name} ${version}`);
      const licence = ['LICENSE', 'LICENSE.md', 'LICENSE-MIT.txt', 'license'].map((file) => join(MODULES, found, file)).find(existsSync);
      if (licence) expect(notices).toContain(readFileSync(licence, 'utf8').trim().slice(0, 200));
    }
    expect(notices).toContain(readFileSync(join(__dirname, '../../LICENSE'), 'utf8').trim());
  }
});

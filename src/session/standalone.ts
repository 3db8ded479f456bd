/**
 * @file Bundles a generated trainer with the runtime, by esbuild. `trainer.js` runs in Node and in a page, and `node.js` is its command line. Both
 * carry the licences of the packages that they hold parts of.
 */

import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { at } from '../errors.ts';
import { licenceComment } from './licences.ts';

/** This package's built files. */
const DIST = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** The command line, beside `trainer.js`. */
export const COMMAND_LINE = 'node.js';

/** Resolves `ebb/trainer` to this package. The command line stays a file of its own, since it needs Node. */
const ownPackage: Plugin = {
  name: 'ebb',
  setup(setup) {
    setup.onResolve({ filter: /^ebb\/(trainer|runtime)$/ }, ({ path }) => ({ path: join(DIST, path.slice('ebb/'.length), 'index.js') }));
    setup.onResolve({ filter: /^\.\/main\.js$/ }, () => ({ path: `./${COMMAND_LINE}`, external: true }));
    setup.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true }));
  },
};

// CommonJS packages inside the bundle load Node's modules by `require`.
const REQUIRE = "import { createRequire as ebbRequire } from 'node:module'; const require = ebbRequire(import.meta.url);";

/** Hands `trainer.ts` the text of the `model.ts` that it imports. */
const besideTrainer = (model: string): Plugin => ({
  name: 'model',
  setup(setup) {
    setup.onResolve({ filter: /^\.\/model\.js$/ }, () => ({ path: 'model.ts', namespace: 'model' }));
    setup.onLoad({ filter: /.*/, namespace: 'model' }, () => ({ contents: model, loader: 'ts', resolveDir: DIST }));
  },
});

/** The two sources of a trainer. */
export interface TrainerSources {
  readonly trainer: string;
  readonly model: string;
}

/** Bundles a `trainer.ts` with its `model.ts`, and returns files by name. The bytes do not depend on where it is written to and run from. */
export async function bundleTrainer({ trainer, model }: TrainerSources): Promise<Map<string, Uint8Array>> {
  const common = {
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'silent',
    absWorkingDir: DIST,
    metafile: true,
  } as const;
  const page = await build({
    ...common,
    stdin: { contents: trainer, loader: 'ts', sourcefile: 'trainer.ts', resolveDir: DIST },
    platform: 'neutral',
    plugins: [besideTrainer(model), ownPackage],
  });
  const node = await build({
    ...common,
    entryPoints: [join(DIST, 'trainer', 'main.js')],
    platform: 'node',
    external: ['webgpu', 'koffi', '@sparticuz/chromium'],
    banner: { js: REQUIRE },
  });
  const files = [
    ['trainer.js', page],
    [COMMAND_LINE, node],
  ] as const;
  return new Map(
    files.map(([name, { outputFiles, metafile }]) => {
      const code = at(outputFiles, 0).text;
      const notices = licenceComment(Object.keys(metafile.inputs), DIST, [dirname(DIST)]);
      return [name, new TextEncoder().encode(`${code}${notices}`)];
    }),
  );
}

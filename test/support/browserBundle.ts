/** @file A room of `src/` as a page gets it: bundled for the browser, with what went into it. */

import { build } from 'esbuild';
import { ROOT } from './cli.ts';

export interface Bundled {
  /** Paths of the sources, from the root of the project. */
  readonly inputs: readonly string[];
  readonly text: string;
}

export async function bundleForBrowser(entry: string): Promise<Bundled> {
  const { metafile, outputFiles } = await build({
    entryPoints: [entry],
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'browser',
    format: 'esm',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return { inputs: Object.keys(metafile.inputs), text: outputFiles[0]?.text ?? '' };
}

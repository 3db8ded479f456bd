/** @file What this package is called and which version it has, out of its own package.json. */

import { createRequire } from 'node:module';

/** What of package.json is read. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
}

/** This package's package.json. */
export const MANIFEST = createRequire(import.meta.url)('../package.json') as Manifest;

/** @file Versions of installed packages. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Returns the version of a package as the module with the URL `from` finds it; `unknown` where the package is not found. */
export function packageVersion(name: string, from: string): string {
  for (const folder of createRequire(from).resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')) as { version: string }).version;
    } catch {
      // the package is not in this folder
    }
  }
  return 'unknown';
}

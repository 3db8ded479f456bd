/** @file Versions of installed packages, as the module at `from` finds them. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** `unknown` where the package is not found. @param from URL of a module */
export function packageVersion(name: string, from: string): string {
  for (const folder of createRequire(from).resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')) as { version: string }).version;
    } catch {
      // the next folder
    }
  }
  return 'unknown';
}

/**
 * @file Packages of a generated folder's node_modules that only say where the installed ones are. They are a few small files, so that they need no
 * links, which some file systems and archives do not have, and which make of one folder a part of another.
 */

import { pathToFileURL } from 'node:url';

/** The files of an installed package behind one of its names: `.`, `./trainer`. */
export interface StubEntry {
  readonly types?: string;
  readonly code: string;
}

/** The name of an entry's files. */
const fileOf = (entry: string): string => (entry === '.' ? 'index' : entry.slice('./'.length));

const reexport = (from: string): string => `export * from ${JSON.stringify(from)};\n`;

/** A path as bundlers and TypeScript take it on every platform. */
const slashed = (path: string): string => path.replaceAll('\\', '/');

/**
 * Returns the files of a stub by their names. Node loads the package by its URL; bundlers, which read `module`, and TypeScript load it by its path.
 * @param entries the package's own files by name, as absolute paths
 */
export function stubFiles(name: string, version: string, entries: Readonly<Record<string, StubEntry>>): ReadonlyMap<string, string> {
  const exports = Object.fromEntries(
    Object.entries(entries).map(([entry, { types }]) => {
      const file = `./${fileOf(entry)}`;
      return [entry, { ...(types === undefined ? {} : { types: `${file}.d.ts` }), module: `${file}.bundle.js`, default: `${file}.js` }];
    }),
  );
  const description = 'Says where the package lies that made this folder. On another machine, install the package itself.';
  const files = Object.entries(entries).flatMap(([entry, { types, code }]): [string, string][] => [
    [`${fileOf(entry)}.js`, reexport(pathToFileURL(code).href)],
    [`${fileOf(entry)}.bundle.js`, reexport(slashed(code))],
    ...(types === undefined ? [] : [[`${fileOf(entry)}.d.ts`, reexport(slashed(types).replace(/\.d\.ts$/, '.js'))] satisfies [string, string]]),
  ]);
  return new Map([['package.json', `${JSON.stringify({ name, version, description, private: true, type: 'module', exports }, null, 2)}\n`], ...files]);
}

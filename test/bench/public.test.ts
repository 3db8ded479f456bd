/** @file Benchmarks, and the tests of the library as a whole, are users of the package: they take what it exports from where it exports it. */

import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type ExportedDeclarations, type ImportDeclaration, Project, type SourceFile } from 'ts-morph';
import { ROOT } from '../support/cli.ts';

const project = new Project({ tsConfigFilePath: join(ROOT, 'tsconfig.json'), skipAddingFilesFromTsConfig: true });
const sourceFile = (path: string): SourceFile => project.addSourceFileAtPath(join(ROOT, path));
const sources = (folder: string): SourceFile[] =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => sourceFile(join(folder, name)));

/** Rooms out of which a benchmark takes the part that it measures; and what the house says errors with. */
const PARTS = ['codegen', 'tune', 'runtime', 'node', 'errors.ts'];
const ENTRIES = ['src/index.ts', 'src/runtime/index.ts', 'src/trainer/index.ts'];
const [ebb] = ENTRIES.map((entry) => new Set([...sourceFile(entry).getExportedDeclarations().values()].flat()));
const exports = (nodes: readonly ExportedDeclarations[]): boolean => nodes.some((node) => ebb?.has(node));

const pathOf = (file: SourceFile): string => relative(ROOT, file.getFilePath()).replaceAll('\\', '/');

/** The file of the sources that an import takes from, or null where it takes from none. */
function sourceOf(declaration: ImportDeclaration): SourceFile | null {
  const file = declaration.getModuleSpecifierSourceFile();
  return file && pathOf(file).startsWith('src/') ? file : null;
}

/** What a file imports out of the sources elsewhere than where the package exports it. */
interface Beneath {
  readonly text: string;
  readonly room: string;
  /** Whether `ebb` exports it. */
  readonly exported: boolean;
}

const beneath = (files: readonly SourceFile[]): Beneath[] =>
  files.flatMap((file) =>
    file.getImportDeclarations().flatMap((declaration) => {
      const from = sourceOf(declaration);
      if (from === null || ENTRIES.includes(pathOf(from))) return [];
      const [, room = ''] = pathOf(from).split('/');
      const declared = from.getExportedDeclarations();
      return declaration.getNamedImports().map((named): Beneath => {
        const name = named.getName();
        return { text: `${pathOf(file)}: ${name} (${pathOf(from)})`, room, exported: exports(declared.get(name) ?? []) };
      });
    }),
  );

it('benchmarks take nothing beneath what the package exports but the part that they measure', () => {
  const found = beneath(sources('bench')).filter(({ room, exported }) => exported || !PARTS.includes(room));
  expect(found.map(({ text }) => text)).toEqual([]);
});

it('benchmarks import the sources by name, and none of them while they run', () => {
  const hidden = sources('bench').filter(
    (file) =>
      file.getImportDeclarations().some((d) => sourceOf(d) !== null && d.getNamedImports().length === 0) ||
      /import\(['"`][^'"`]*\/src\//.test(file.getFullText()),
  );
  expect(hidden.map(pathOf)).toEqual([]);
});

it('tests of the library take what the package exports out of the package', () => {
  const found = beneath(['test/session', 'test/e2e'].flatMap(sources)).filter(({ exported }) => exported);
  expect(found.map(({ text }) => text)).toEqual([]);
});

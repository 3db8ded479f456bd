/** @file A definition and what it imports, as ts-morph reads it: the strictest settings, `ebb` being this very package. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Diagnostic as MorphDiagnostic, Project, SourceFile } from 'ts-morph';
import type { Diagnostic } from './diagnostic.ts';
import { STRICT } from './strict.ts';

/** ts-morph, loaded when the first definition is: nothing that runs a step pays for it. */
export type Morph = typeof import('ts-morph');

/** `src/` or `dist/`, whichever runs. */
const HERE = dirname(dirname(fileURLToPath(import.meta.url)));

/** The entry points of this package by the names they are imported under. */
export const ENTRIES: Readonly<Record<string, string>> = { ebb: 'index', 'ebb/runtime': 'runtime/index' };

function typesOf(entry: string): string {
  const built = join(HERE, `${entry}.d.ts`);
  return existsSync(built) ? built : join(HERE, `${entry}.ts`);
}

/** Node's types, the definition's own or this package's, if either has them. */
function nodeTypes(folder: string): string | undefined {
  for (const from of [join(folder, '_.js'), join(HERE, '_.js')]) {
    try {
      return dirname(dirname(createRequire(from).resolve('@types/node/package.json')));
    } catch {
      // not installed there
    }
  }
  return undefined;
}

/** The part of a console that all hosts have; Node's own types add to it. */
const CONSOLE = `interface Console { log(...data: unknown[]): void; warn(...data: unknown[]): void; error(...data: unknown[]): void }
declare var console: Console;`;
/** Node's types take a second to read: they are, for a definition that uses Node. */
const USES_NODE = /\bnode:|\bprocess\b|\bBuffer\b/;

let known: Project | null = null;

/** One project for all definitions: what it has read of this package stays read. */
function sharedProject({ Project, ts }: Morph): Project {
  if (known) return known;
  known = new Project({
    skipAddingFilesFromTsConfig: true,
    skipFileDependencyResolution: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts'],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      ...STRICT,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      types: [],
      paths: Object.fromEntries(Object.entries(ENTRIES).map(([name, entry]) => [name, [typesOf(entry)]])),
    },
  });
  known.createSourceFile(join(HERE, 'console.d.ts'), CONSOLE);
  return known;
}

/** A definition's own files: the one that was named and what it imports by relative paths, each after those it imports. */
export interface DefinitionFiles {
  readonly project: Project;
  readonly entry: SourceFile;
  readonly files: readonly SourceFile[];
}

export function readDefinition(morph: Morph, path: string): DefinitionFiles {
  const project = sharedProject(morph);
  const ordered: SourceFile[] = [];
  const seen = new Set<string>();
  const visit = (file: SourceFile): void => {
    seen.add(file.getFilePath());
    file.refreshFromFileSystemSync();
    for (const specifier of importsOf(file)) {
      const target = specifier.startsWith('.') ? besides(file, specifier) : '';
      const imported = target.endsWith('ts') && !seen.has(target) ? project.addSourceFileAtPathIfExists(target) : undefined;
      if (imported) visit(imported);
    }
    ordered.push(file);
  };
  const entry = project.addSourceFileAtPath(path);
  visit(entry);
  const types = ordered.some((file) => USES_NODE.test(file.getFullText())) ? nodeTypes(dirname(path)) : undefined;
  project.compilerOptions.set(types === undefined ? { types: [] } : { types: ['node'], typeRoots: [types] });
  return { project, entry, files: ordered };
}

/** What a file imports, by specifier; not what it imports types of alone. */
export function importsOf(file: SourceFile): string[] {
  const declared = [...file.getImportDeclarations().filter((d) => !d.isTypeOnly()), ...file.getExportDeclarations().filter((d) => !d.isTypeOnly())];
  return [...new Set(declared.flatMap((d) => d.getModuleSpecifierValue() ?? []))];
}

/** The file a relative import names: `./blocks.ts`, `./blocks.js` or `./blocks`. */
export function besides(file: SourceFile, specifier: string): string {
  const plain = join(file.getDirectoryPath(), specifier);
  const candidates = [plain, plain.replace(/\.js$/, '.ts'), `${plain}.ts`, join(plain, 'index.ts')];
  return candidates.find((c) => /\.([mc]?ts|json)$/.test(c) && existsSync(c)) ?? plain;
}

/** Errors of TypeScript in the definition's files. */
export function typeErrors({ ts }: Morph, { project, files }: DefinitionFiles): Diagnostic[] {
  const program = project.getProgram();
  return files.flatMap((file) => {
    const syntactic = program.getSyntacticDiagnostics(file);
    return (syntactic.length > 0 ? syntactic : program.getSemanticDiagnostics(file)).map((d) => fromMorph(ts, file, d));
  });
}

function fromMorph(ts: Morph['ts'], file: SourceFile, diagnostic: MorphDiagnostic): Diagnostic {
  const { line, column } = file.getLineAndColumnAtPos(diagnostic.getStart() ?? 0);
  const message = ts.flattenDiagnosticMessageText(diagnostic.compilerObject.messageText, '\n');
  return { path: file.getFilePath(), line, column, message: `TS${diagnostic.getCode()}: ${message}` };
}

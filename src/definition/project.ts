/** @file Reads a definition and its imports with ts-morph, under the strictest settings. Imports of `ebb` resolve to this very package. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Diagnostic as MorphDiagnostic, Project, SourceFile } from 'ts-morph';
import type { Diagnostic } from './diagnostic.ts';
import { STRICT } from './strict.ts';

/** The module ts-morph. It is loaded only when a definition is read, so that commands without one start faster. */
export type Morph = typeof import('ts-morph');

/** The folder `src/` or `dist/` that this code runs from. */
const HERE = dirname(dirname(fileURLToPath(import.meta.url)));

/** The file of each entry point of this package, by the name it is imported under. */
export const ENTRIES: Readonly<Record<string, string>> = { ebb: 'index', 'ebb/runtime': 'runtime/index' };

function typesOf(entry: string): string {
  const built = join(HERE, `${entry}.d.ts`);
  return existsSync(built) ? built : join(HERE, `${entry}.ts`);
}

/** The folder of Node's types: those installed beside the definition, else those beside this package. Undefined where neither has them. */
function nodeTypes(folder: string): string | undefined {
  for (const from of [join(folder, '_.js'), join(HERE, '_.js')]) {
    try {
      return dirname(dirname(createRequire(from).resolve('@types/node/package.json')));
    } catch {
      // they are not installed there
    }
  }
  return undefined;
}

/** The part of `console` that every JavaScript host has. Node's own types extend it. */
const CONSOLE = `interface Console { log(...data: unknown[]): void; warn(...data: unknown[]): void; error(...data: unknown[]): void }
declare var console: Console;`;
/** Node's types take a second to read, so only a definition that matches this reads them. */
const USES_NODE = /\bnode:|\bprocess\b|\bBuffer\b/;

/** Creates the project that definitions are read in. Definitions that share one read the types of this package once. */
export function createProject({ Project, ts }: Morph): Project {
  const project = new Project({
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
  project.createSourceFile(join(HERE, 'console.d.ts'), CONSOLE);
  return project;
}

/** A definition's own files: `entry` and what it imports by relative paths. Each file follows those it imports. */
export interface DefinitionFiles {
  readonly project: Project;
  readonly entry: SourceFile;
  readonly files: readonly SourceFile[];
}

/** Reads the file at `path` and what it imports by relative paths, and sets the types of `project` to those they need. */
export function readDefinition(project: Project, path: string): DefinitionFiles {
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

/** The specifiers that a file imports values from. Imports of types alone are left out. */
export function importsOf(file: SourceFile): string[] {
  const declared = [...file.getImportDeclarations().filter((d) => !d.isTypeOnly()), ...file.getExportDeclarations().filter((d) => !d.isTypeOnly())];
  return [...new Set(declared.flatMap((d) => d.getModuleSpecifierValue() ?? []))];
}

/** The path of the file that a relative import such as `./blocks.ts`, `./blocks.js` or `./blocks` names. */
export function besides(file: SourceFile, specifier: string): string {
  const plain = join(file.getDirectoryPath(), specifier);
  const candidates = [plain, plain.replace(/\.js$/, '.ts'), `${plain}.ts`, join(plain, 'index.ts')];
  return candidates.find((c) => /\.([mc]?ts|json)$/.test(c) && existsSync(c)) ?? plain;
}

/** TypeScript's errors in the definition's files; a file with syntax errors shows those alone. */
export function typeErrors(morph: Morph, { project, files }: DefinitionFiles): Diagnostic[] {
  const program = project.getProgram();
  return files.flatMap((file) => {
    const syntactic = program.getSyntacticDiagnostics(file);
    return (syntactic.length > 0 ? syntactic : program.getSemanticDiagnostics(file)).map((d) => fromMorph(morph, file, d));
  });
}

/** The function that computes what an operator would, if tensors had operators. */
const FOR_OPERATORS: Readonly<Record<string, string>> = { '+': 'add', '-': 'sub', '*': 'mul', '/': 'div', '+=': 'add', '-=': 'sub', '*=': 'mul', '/=': 'div' };

/** Codes of TypeScript's errors for operands of an operator: any, the left one of arithmetic, the right one. */
const OPERAND_ERRORS: readonly number[] = [2365, 2362, 2363];

/** What a person who gave tensors to an operator is to write instead; empty for other errors. */
function operatorHint({ ts }: Morph, file: SourceFile, diagnostic: MorphDiagnostic): string {
  const start = diagnostic.getStart();
  if (start === undefined || !OPERAND_ERRORS.includes(diagnostic.getCode())) return '';
  const expression = file.getDescendantAtPos(start)?.getFirstAncestorByKind(ts.SyntaxKind.BinaryExpression);
  const operator = expression?.getOperatorToken().getText();
  const func = operator === undefined ? undefined : FOR_OPERATORS[operator];
  const types = [expression?.getLeft(), expression?.getRight()].map((side) => side?.getType().getSymbol()?.getName());
  if (func === undefined || !types.includes('Value')) return '';
  const branch = func === 'add' ? '; inside unit() return the branch alone, since unit() adds it to its input' : '';
  return `; tensors have no operators: use ${func}(a, b)${branch}`;
}

function fromMorph(morph: Morph, file: SourceFile, diagnostic: MorphDiagnostic): Diagnostic {
  const { line, column } = file.getLineAndColumnAtPos(diagnostic.getStart() ?? 0);
  const text = morph.ts.flattenDiagnosticMessageText(diagnostic.compilerObject.messageText, '\n');
  // The package's own types are known to a definition by their names, and a tensor by that of its alias.
  const message = text.replaceAll(/import\("[^"]*"\)\.(\w+)/g, (_whole, name: string) => (name === 'Value' ? 'Tensor' : name));
  const hint = operatorHint(morph, file, diagnostic);
  return { path: file.getFilePath(), line, column, message: `TS${diagnostic.getCode()}: ${hint === '' ? message : message.replace(/\.$/, '')}${hint}` };
}

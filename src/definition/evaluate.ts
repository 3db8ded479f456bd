/**
 * @file Runs a definition's files. Each file is compiled to JavaScript in memory, with its values named, and runs as a script whose imports
 * are handed in. `ebb` is this very instance of the package, because a trace is state of that instance. Nothing is written to disk, and a
 * file that is read again runs again.
 */

import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import type { SourceFile } from 'ts-morph';
import { at, get } from '../errors.ts';
import { mapSource } from '../trace/location.ts';
import { beginNamed, endNamed, endNamedEach } from '../trace/naming.ts';
import { HOOKS, nameValues } from './instrument.ts';
import { besides, importsOf, type Morph } from './project.ts';

type Exports = Record<string, unknown>;
type Body = (exports: Exports, require: (specifier: string) => unknown, hooks: object) => Promise<void>;

interface Emitted {
  readonly code: string;
  readonly map: string;
}

function emit({ ts }: Morph, file: SourceFile): Emitted {
  const { outputText, sourceMapText = '' } = ts.transpileModule(file.getFullText(), {
    fileName: file.getFilePath(),
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true, sourceMap: true },
    transformers: { before: [nameValues(ts)] },
  });
  return { code: outputText.replace(/^\/\/# sourceMappingURL=.*$/m, ''), map: sourceMapText };
}

/**
 * Where the name of the called function begins, given where a stack frame points. The script calls an import as `(0, ebb_1.relu)(x)`, and
 * its frame points at the `(` behind the callee.
 */
function calleeStart({ Node }: Morph, file: SourceFile, position: number): number {
  const call = file.getDescendantAtPos(position - 1)?.getFirstAncestor((node) => Node.isCallExpression(node) && node.getExpression().getEnd() === position);
  if (!Node.isCallExpression(call)) return position;
  const callee = call.getExpression();
  return Node.isPropertyAccessExpression(callee) ? callee.getNameNode().getStart() : callee.getStart();
}

/** Maps stack frames in the script of `file` to the places in `file` that they came from. */
function mapFrames(morph: Morph, file: SourceFile, map: string): void {
  const source = new SourceMap(JSON.parse(map) as SourceMapPayload);
  mapSource(file.getFilePath(), (line, column) => {
    const { originalLine, originalColumn } = source.findEntry(line - 1, column - 1) as { originalLine?: number; originalColumn?: number };
    if (originalLine === undefined || originalColumn === undefined) return { line, column };
    const position = morph.ts.getPositionOfLineAndCharacter(file.compilerNode, originalLine, originalColumn);
    return file.getLineAndColumnAtPos(calleeStart(morph, file, position));
  });
}

/** Imports a module that is not one of the definition's own files: an entry point of this package, or a package that is found from the importing file `from`. */
export type Outside = (specifier: string, from: string) => Promise<unknown>;

/** Runs `files` in their order, each of which follows those it imports, and returns the exports of the last one. */
export async function runFiles(morph: Morph, files: readonly SourceFile[], outside: Outside): Promise<Exports> {
  const exportsOf = new Map<string, Exports>(files.map((file) => [file.getFilePath(), {}]));
  const ownImport = (path: string): unknown => (path.endsWith('.json') ? JSON.parse(readFileSync(path, 'utf8')) : exportsOf.get(path));
  for (const file of files) {
    const path = file.getFilePath();
    const imports = new Map<string, unknown>();
    for (const specifier of importsOf(file)) {
      const own = specifier.startsWith('.') ? ownImport(besides(file, specifier)) : undefined;
      imports.set(specifier, own ?? (await outside(specifier, path)));
    }
    const { code, map } = emit(morph, file);
    mapFrames(morph, file, map);
    // the wrapper has a line of its own, so that lines of the script agree with its source map
    const script = new Script(`(async (exports, require, ${HOOKS}) => {\n${code}\n})`, { filename: path, lineOffset: -1 });
    const body = script.runInThisContext() as Body;
    const url = pathToFileURL(path).href;
    const hooks = { begin: beginNamed, end: endNamed, endEach: endNamedEach, meta: { url, filename: path, dirname: file.getDirectoryPath() } };
    await body(get(exportsOf, path), (specifier) => imports.get(specifier), hooks);
  }
  return get(exportsOf, at(files, -1).getFilePath());
}

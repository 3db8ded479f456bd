/**
 * @file Runs a definition's files: each is made JavaScript in memory, with its values named, and run as a script whose imports are handed
 * in. `ebb` is this very instance of the package, whose state a trace is; nothing is written, and a file read again runs again.
 */

import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import type { SourceFile } from 'ts-morph';
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

/** A call of an import is a call of `(0, ebb_1.relu)` in the script, whose frame is at its `(`: what is called begins before it. */
function calleeStart({ Node }: Morph, file: SourceFile, at: number): number {
  const call = file.getDescendantAtPos(at - 1)?.getFirstAncestor((node) => Node.isCallExpression(node) && node.getExpression().getEnd() === at);
  if (!Node.isCallExpression(call)) return at;
  const callee = call.getExpression();
  return Node.isPropertyAccessExpression(callee) ? callee.getNameNode().getStart() : callee.getStart();
}

/** Frames of the script are those of the file it was made of. */
function mapFrames(morph: Morph, file: SourceFile, map: string): void {
  const source = new SourceMap(JSON.parse(map) as SourceMapPayload);
  mapSource(file.getFilePath(), (line, column) => {
    const { originalLine, originalColumn } = source.findEntry(line - 1, column - 1) as { originalLine?: number; originalColumn?: number };
    if (originalLine === undefined || originalColumn === undefined) return { line, column };
    const at = morph.ts.getPositionOfLineAndCharacter(file.compilerNode, originalLine, originalColumn);
    return file.getLineAndColumnAtPos(calleeStart(morph, file, at));
  });
}

/** Imports that are not the definition's own files, by specifier: entries of this package, and packages found from the importing file. */
export type Outside = (specifier: string, from: string) => Promise<unknown>;

/** Runs `files`, each after what it imports, and returns what the last one exports. */
export async function runFiles(morph: Morph, files: readonly SourceFile[], outside: Outside): Promise<Exports> {
  const exportsOf = new Map<string, Exports>(files.map((file) => [file.getFilePath(), {}]));
  for (const file of files) {
    const path = file.getFilePath();
    const imports = new Map<string, unknown>();
    for (const specifier of importsOf(file)) {
      const target = specifier.startsWith('.') ? besides(file, specifier) : '';
      const own = target.endsWith('.json') ? JSON.parse(readFileSync(target, 'utf8')) : exportsOf.get(target);
      imports.set(specifier, own ?? (await outside(specifier, path)));
    }
    const { code, map } = emit(morph, file);
    mapFrames(morph, file, map);
    // the wrapper has a line of its own, so that the lines of the script are those of its map
    const script = new Script(`(async (exports, require, ${HOOKS}) => {\n${code}\n})`, { filename: path, lineOffset: -1 });
    const body = script.runInThisContext() as Body;
    const url = pathToFileURL(path).href;
    const hooks = { begin: beginNamed, end: endNamed, endEach: endNamedEach, meta: { url, filename: path, dirname: file.getDirectoryPath() } };
    await body(exportsOf.get(path) ?? {}, (specifier) => imports.get(specifier), hooks);
  }
  return exportsOf.get(files.at(-1)?.getFilePath() ?? '') ?? {};
}

/** @file Turns a TypeScript file into a model: the file is read, checked, run and traced. Errors are reported at their lines. */

import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Project } from 'ts-morph';
import { EbbError } from '../errors.ts';
import type { Loc } from '../ir/types.ts';
import type { TraceOptions } from '../trace/context.ts';
import { TraceError } from '../trace/error.ts';
import { captureLocations, userFrame } from '../trace/location.ts';
import { type ModelDefinition, type TracedModel, traceModel } from '../trace/trace.ts';
import { tracedBranches } from './branches.ts';
import { DefinitionError, type Diagnostic, shownPath } from './diagnostic.ts';
import { type Outside, runFiles } from './evaluate.ts';
import { createProject, ENTRIES, type Morph, readDefinition, typeErrors } from './project.ts';

/** A model definition that was read, checked and run. */
export interface LoadedDefinition {
  readonly definition: ModelDefinition;
  /** Name of the file without its ending. A compiled folder of the model is called by it. */
  readonly name: string;
  /** The name that the model is exported under. */
  readonly exportName: string;
  /** Absolute path of the file. */
  readonly path: string;
  /** Absolute paths of the definition's own files: `path` and what it imports by relative paths. */
  readonly files: readonly string[];
}

const isDefinition = (value: unknown): value is ModelDefinition =>
  typeof value === 'object' && value !== null && 'inputs' in value && 'build' in value && typeof value.build === 'function';

/** Finds the export called `model`, or the only export that is a model. */
function findModel(exports: Readonly<Record<string, unknown>>, path: string): { exportName: string; definition: ModelDefinition } {
  const names = Object.keys(exports).filter((name) => name !== '__esModule');
  const models = names.filter((name) => isDefinition(exports[name]));
  const exportName = models.includes('model') ? 'model' : models.length === 1 ? models[0] : undefined;
  const definition = exportName === undefined ? undefined : exports[exportName];
  if (exportName === undefined || !isDefinition(definition)) {
    const found =
      names.length === 0
        ? 'it exports nothing'
        : `it exports ${names.join(', ')}, of which ${models.length === 0 ? 'none is a model' : 'several are models and none is called model'}`;
    throw new EbbError(`${shownPath(path)}: a definition exports one model, or one called model; ${found}. Write export const model = defineModel({ … })`);
  }
  return { exportName, definition };
}

/** Imports of this package get this very instance of it. Other packages are found from the file that imports them. */
const outside: Outside = async (specifier, from) => {
  const entry = ENTRIES[specifier];
  if (entry !== undefined) return import(`../${entry}.ts`);
  if (specifier.startsWith('node:')) return import(specifier);
  return import(pathToFileURL(createRequire(from).resolve(specifier)).href);
};

function diagnosticAt(loc: Loc, message: string): Diagnostic {
  return { path: loc.path ?? loc.file, line: loc.line, column: loc.column, message };
}

/** Turns an error that the definition's code threw into one at the innermost line of the definition that led there. Other errors stay as they are. */
function located(error: unknown, files: readonly string[]): unknown {
  if (error instanceof DefinitionError || typeof error !== 'object' || error === null) return error;
  if (error instanceof TraceError) return error.loc ? new DefinitionError([diagnosticAt(error.loc, error.detail)], { cause: error }) : error;
  // an error of the script may come from another realm, where instanceof Error fails
  const { message = '', stack, name = 'Error' } = error as { message?: string; stack?: string; name?: string };
  const loc = userFrame(stack, (path) => files.includes(path));
  return loc ? new DefinitionError([diagnosticAt(loc, error instanceof EbbError ? message : `${name}: ${message}`)], { cause: error }) : error;
}

/**
 * Reads a model definition and runs it. TypeScript errors, branches on traced values, and errors while it runs are reported at their lines.
 * @throws DefinitionError with the code quoted; EbbError when there is no such file, or when it exports no model
 */
export const loadDefinition = (file: string): Promise<LoadedDefinition> => definitionLoader()(file);

/** Returns a `loadDefinition` for several definitions, which reads the types of this package only once. */
export function definitionLoader(): (file: string) => Promise<LoadedDefinition> {
  let project: Project | undefined;
  return async (file) => {
    const path = definitionPath(file);
    const morph: Morph = await import('ts-morph');
    project ??= createProject(morph);
    return runDefinition(morph, project, path);
  };
}

/** The absolute path of a definition. @throws EbbError when there is no such file, or when it is no TypeScript file */
function definitionPath(file: string): string {
  const path = resolve(file).replace(/\\/g, '/');
  if (!existsSync(path) || !statSync(path).isFile()) throw new EbbError(`${file}: there is no such file; a definition is a TypeScript file`);
  if (!/\.[mc]?ts$/.test(path)) throw new EbbError(`${file}: a definition is a TypeScript file (.ts)`);
  return path;
}

/** Checks the definition at `path` and runs it. @throws DefinitionError, and EbbError when it exports no model */
async function runDefinition(morph: Morph, project: Project, path: string): Promise<LoadedDefinition> {
  const read = readDefinition(project, path);
  const errors = typeErrors(morph, read);
  const wrong = errors.length > 0 ? errors : tracedBranches(morph, read.files);
  if (wrong.length > 0) throw new DefinitionError(wrong);
  const files = read.files.map((f) => f.getFilePath());
  try {
    const exports = await runFiles(morph, read.files, outside);
    return { ...findModel(exports, path), name: basename(path).replace(/(\.d)?\.[mc]?ts$/, ''), path, files };
  } catch (error) {
    throw located(error, files);
  }
}

/**
 * Traces a loaded definition; each op of the trace carries the line of the file that made it.
 * @throws DefinitionError for misuse, at its line and with the code quoted
 */
export function traceDefinition({ definition, files }: Pick<LoadedDefinition, 'definition' | 'files'>, options: TraceOptions): TracedModel {
  const before = captureLocations(true);
  try {
    return traceModel(definition, options);
  } catch (error) {
    throw located(error, files);
  } finally {
    captureLocations(before);
  }
}

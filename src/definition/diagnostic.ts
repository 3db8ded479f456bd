/** @file Errors in a definition, each with its place in the file and the line of code. */

import { readFileSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { EbbError } from '../errors.ts';

/** One error in a definition and its place in the source. */
export interface Diagnostic {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
  readonly message: string;
}

/** An error in a definition. Its message shows each diagnostic as `file:line:column: message`, the line of code, and a caret below it. */
export class DefinitionError extends EbbError {
  override readonly name = 'DefinitionError';
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[], options?: ErrorOptions) {
    super(reportText(diagnostics), 'definition');
    this.diagnostics = diagnostics;
    if (options?.cause !== undefined) this.cause = options.cause;
  }
}

/** A message shows at most this many diagnostics. */
const SHOWN = 20;

function reportText(diagnostics: readonly Diagnostic[]): string {
  const shown = diagnostics.slice(0, SHOWN).map(quoted);
  const more = diagnostics.length - shown.length;
  return [...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n\n');
}

/** `path` as a person would type it: relative where it lies below the working directory, else as it is. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}

/** The line of code that a diagnostic is about. Undefined where the file cannot be read, or has no such line. */
function codeLine({ path, line }: Diagnostic): string | undefined {
  try {
    return readFileSync(path, 'utf8').split(/\r?\n/)[line - 1];
  } catch {
    return undefined;
  }
}

function quoted(diagnostic: Diagnostic): string {
  const { path, line, column, message } = diagnostic;
  const head = `${shownPath(path)}:${line}:${column}: ${message}`;
  const code = codeLine(diagnostic);
  if (code === undefined) return head;
  const indent = code.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return `${head}\n  ${code}\n  ${indent}^`;
}

/** @file The error for misuse of the tracing API. It has the line of the definition in front of its message, and as a field. */

import { closest } from 'fastest-levenshtein';
import { EbbError } from '../errors.ts';
import type { Loc } from '../ir/types.ts';
import { callSite, locText } from './location.ts';

/** Misuse of the tracing API at a line of the definition: `mlp.ts:12:5: dot C3: …`. */
export class TraceError extends EbbError {
  override readonly name = 'TraceError';
  /** The message without the place. */
  readonly detail: string;
  readonly loc: Loc | undefined;

  constructor(detail: string, loc: Loc | undefined) {
    super(loc ? `${locText(loc)}: ${detail}` : detail, 'definition');
    this.detail = detail;
    this.loc = loc;
  }
}

/** @throws TraceError at `loc`, by default the line that is being traced */
export function misuse(detail: string, loc: Loc | undefined = callSite()()): never {
  throw new TraceError(detail, loc);
}

/** Which options a function of the tracing API knows. */
export type KnownOptions<T> = Readonly<Record<keyof T, true>>;

/** Checks the options of a definition that TypeScript does not check. @param where the function, and the name it is given @throws TraceError for an option that is not known */
export function checkKnown<T extends object>(where: string, options: T, known: KnownOptions<T>): void {
  const other = Object.keys(options).find((key) => !Object.hasOwn(known, key));
  if (other === undefined) return;
  const names = Object.keys(known);
  misuse(`${where}: unknown option ${other} (did you mean ${closest(other, names)}?); it takes ${names.join(', ')}`);
}

/** @file The type of a pass: a pure function that maps a function of the IR to another, with a name. ./pipeline.ts lists the passes in order. */

import type { Func } from '../ir/types.ts';

export interface Pass<Options> {
  readonly name: string;
  /** What holds after the pass, in one line. */
  readonly summary: string;
  run(func: Func, options: Options): Func;
}

/** Called after each pass with the function that it made. */
export type OnPass = (pass: string, func: Func) => void;

/** Runs `func` through `passes` in order. */
export function runPasses<Options>(passes: readonly Pass<Options>[], func: Func, options: Options, onPass?: OnPass): Func {
  return passes.reduce((current, pass) => {
    const made = pass.run(current, options);
    onPass?.(pass.name, made);
    return made;
  }, func);
}

/** @file What a pass is: a pure function from a function to a function, with a name. ./pipeline.ts lists them in order. */

import type { Func } from '../ir/types.ts';

export interface Pass<Options> {
  readonly name: string;
  /** One line: what holds afterwards. */
  readonly summary: string;
  run(func: Func, options: Options): Func;
}

/** Called after each pass with what it made. */
export type OnPass = (pass: string, func: Func) => void;

/** Runs `passes` in order. */
export function runPasses<Options>(passes: readonly Pass<Options>[], func: Func, options: Options, onPass?: OnPass): Func {
  return passes.reduce((current, pass) => {
    const made = pass.run(current, options);
    onPass?.(pass.name, made);
    return made;
  }, func);
}

/** @file What a target is: the language that kernels are printed in, and what the compiler has to know of it. */

import type { Kernel } from '../kernel/ir.ts';
import type { StartingSchedules } from '../kernel/lower/starting.ts';
import { withIdentifiers } from '../kernel/rewrite/names.ts';

/** A language of kernels. docs/adding.md says what it takes to add one. */
export interface Target {
  /** As programs, device profiles and the endings of files call it: `wgsl`. */
  readonly name: string;
  /** For people: `WGSL`. */
  readonly title: string;
  /** What begins a comment that ends with its line. */
  readonly lineComment: string;
  /** How a module writes a word of the uniform block, in which sizes and scalars are. */
  readonly word: (index: number) => string;
  /** Names that its modules cannot give to what a kernel declares: keywords, functions, what `print` declares itself. */
  readonly reserved: ReadonlySet<string>;
  /** The module of a kernel whose names are clear of the reserved ones. The same kernel always gives the same text. */
  readonly print: (kernel: Kernel) => string;
  /** What a device must offer for a kernel that uses this, as the target's devices call it. */
  readonly features: (uses: Kernel['uses']) => readonly string[];
  /** The schedules that its kernels start with: `STARTING_SCHEDULES`, or its own. */
  readonly schedules: StartingSchedules;
}

/** The module of a kernel, of which a target's devices make a pipeline. */
export function moduleOf(target: Target, kernel: Kernel): string {
  return target.print(withIdentifiers(kernel, target.reserved));
}

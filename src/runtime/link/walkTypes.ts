/** @file What a walk over the calls of a model is made of. */

import type { Program, Sizes } from '../program.ts';
import type { Address } from './address.ts';
import type { Layouts } from './bounds.ts';
import type { LinkedCall, Placement } from './linked.ts';

/** What walks over one program have in common. */
export interface Terrain {
  readonly program: Program;
  readonly placement: Placement;
  /** Run-time dimensions at their bounds. */
  readonly sizes: Sizes;
  readonly layouts: Layouts;
  /** Of each value: its bytes, its offset among main's results, and the last call that reads it. */
  readonly valueBytes: readonly number[];
  readonly resultOffset: ReadonlyMap<number, number>;
  readonly lastReaders: readonly number[];
}

/** A backward under way. */
export interface Pass {
  /** Of each value: where in the slots buffer its cotangent lies. */
  readonly cotangent: Map<number, number>;
  /** Parameters that got a gradient. */
  readonly touched: Set<number>;
  /** Gradients written: of whole parameters, and addresses of those of rows. */
  readonly wholes: Set<number>;
  readonly parts: Set<Address>;
  readonly gradientAt: (param: number) => Address;
  /** Whether what was saved for a call is given up behind its backward. */
  readonly pops: boolean;
}

export interface PassOptions {
  /** Parameters whose gradient was written before in this step. */
  readonly written?: Iterable<number>;
  /** Default: where the placement says. */
  readonly gradientAt?: (param: number) => Address;
  readonly pops?: boolean;
}

export interface Walk {
  /** What was linked so far. */
  readonly calls: readonly LinkedCall[];
  /** Links the forward of call `i`; calls come in order. */
  forward(i: number): void;
  pass(options?: PassOptions): Pass;
  /** Links the backward of call `i`, as its plan says; calls come in reverse. */
  backward(i: number, pass: Pass): void;
  /** Leaves the branch of unit `i` out: its residual's cotangent passes as it is. */
  drop(i: number, pass: Pass): void;
  /** Links y ← f(y, x) over so many bytes, by the update function of that name; `zero` reads nothing. */
  combine(update: 'accumulate' | 'assign' | 'subtract' | 'zero', y: Address, x: Address, bytes: number): void;
  /** A place for a cotangent of `value`, and giving it back. */
  take(value: number): number;
  give(offset: number): void;
  /** Bytes on the stack that stay. */
  reserve(bytes: number): Address;
  /** Bytes saved at most, of the stack with the scratch above it, and of the slots. */
  bytes(): { readonly saved: number; readonly stack: number; readonly slots: number };
}

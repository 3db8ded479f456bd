/** @file The parts of a step, planned and not yet run: the micro-batches' forward and backward, then the update of what got a gradient. */

import { at, EbbError } from '../errors.ts';
import type { ActivationBytes } from './bufferBytes.ts';
import type { InputData } from './inputs.ts';
import type { Form, Pattern } from './link/forms.ts';
import type { Linker } from './link/link.ts';
import type { Variant } from './link/linked.ts';
import { functionFlops, type Program, type Sizes } from './program.ts';
import { type CallGiven, type MicroStrides, type StepCall, stepCall } from './stepCall.ts';

/** One forward and backward. */
export interface MicroBatch extends CallGiven {
  /** Run-time dimensions, e.g. B and T; those left out are at their bounds. */
  readonly sizes: Sizes;
  /** Row-major, of the shapes that `sizes` gives; one for each input of the program. */
  readonly inputs: InputData;
  /** Forms of the units that are not `full`. */
  readonly pattern: Pattern;
  /** A scalar by its name and the site that asks: branch_weight, seed, position, loss_scale. */
  readonly scalar: (name: string, site: string) => number;
  /** No backward, and no gradients: evaluation. */
  readonly forwardOnly?: boolean;
}

/** The forms and the activation memory that an engine was made for, which bound the patterns that it can run. */
export interface StepBounds {
  readonly forms: readonly Form[];
  readonly activations: ActivationBytes;
}

/** The first part of a step: the forwards and backwards of its micro-batches. */
export interface BackwardPart {
  /** One for each micro-batch. */
  readonly variants: readonly Variant[];
  readonly calls: readonly StepCall[];
  /** Parameters whose gradients are zeroed before. */
  readonly zeroed: readonly number[];
  /** Parameters that get a gradient. */
  readonly written: ReadonlySet<number>;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
}

/** FLOPs of a function at the sizes of a micro-batch. */
export type FlopCount = (fn: number, sizes: Sizes) => number;

/** Returns the sizes of the last micro-batch where those given are equal to them, so that what was made for them is found by identity. */
export type SameSizes = (sizes: Sizes) => Sizes;

/** Keeps the last sizes that a program's dimensions had. */
export function sizesKeeper({ dims }: Pick<Program, 'dims'>): SameSizes {
  let last: Sizes = {};
  return (sizes) => {
    if (dims.some(({ name }) => sizes[name] !== last[name])) last = { ...sizes };
    return last;
  };
}

/** Counts FLOPs; counts are kept for as long as micro-batches come with the same sizes, by identity. */
export function flopCounter({ functions }: Pick<Program, 'functions'>, bounds: Sizes): FlopCount {
  const counts = new Map<number, number>();
  let last: Sizes = {};
  return (fn, sizes) => {
    if (sizes !== last) counts.clear();
    last = sizes;
    const known = counts.get(fn);
    if (known !== undefined) return known;
    const counted = functionFlops(at(functions, fn), { ...bounds, ...sizes });
    counts.set(fn, counted);
    return counted;
  };
}

/** @throws EbbError for a form that was not planned for, and for a variant that needs more memory than there is */
function checkVariant({ forms, activations }: StepBounds, pattern: Pattern, { stackBytes, slotBytes }: Variant): void {
  const unplanned = [...pattern].find(([, form]) => !forms.includes(form));
  if (unplanned) throw new EbbError(`${unplanned[0]}: form ${unplanned[1]} was not planned for, the engine was made for ${forms.join(', ')}`);
  if (stackBytes > activations.stackBytes || slotBytes > activations.slotBytes)
    throw new EbbError(
      `a pattern needs ${stackBytes} + ${slotBytes} bytes of activations, the engine was made for ${activations.stackBytes} + ${activations.slotBytes}`,
    );
}

/** What the parts of an engine have to do with its backward. */
interface BackwardOf {
  readonly program: Program;
  readonly linker: Linker;
  readonly bounds: StepBounds;
  readonly strides: MicroStrides;
  readonly flopsOf: FlopCount;
  readonly sameSizes: SameSizes;
}

/** Links the micro-batches of a step, each behind what those before it wrote. @throws EbbError as `checkVariant` */
export function backwardPart({ program, linker, bounds, strides, flopsOf, sameSizes }: BackwardOf, micros: readonly MicroBatch[]): BackwardPart {
  const written = new Set<number>();
  const zeroed: number[] = [];
  const calls: StepCall[] = [];
  let [forwardFlops, backwardFlops] = [0, 0];
  const variants = micros.map((micro, m): Variant => {
    const variant = linker.link(micro.pattern, { forwardOnly: micro.forwardOnly ?? false, written });
    checkVariant(bounds, micro.pattern, variant);
    for (const param of variant.touched) written.add(param);
    const sizes = sameSizes(micro.sizes);
    const given: CallGiven = { sizes, scalar: micro.scalar };
    for (const call of variant.calls) {
      calls.push(stepCall(program, call, given, m, strides));
      zeroed.push(...call.zeroed);
      if (call.phase === 'forward') forwardFlops += flopsOf(call.fn, sizes);
      else if (call.phase !== 'sum') backwardFlops += flopsOf(call.fn, sizes);
    }
    return variant;
  });
  return { variants, calls, zeroed, written, forwardFlops, backwardFlops };
}

/** @file A linked call as a step runs it: at the addresses of its micro-batch, with the sizes and scalars that the step gives. */

import { at } from '../errors.ts';
import { type Address, BUFFERS, bufferOf } from './link/address.ts';
import type { LinkedCall } from './link/linked.ts';
import type { Program, Sizes } from './program.ts';

/** A function to be run at given addresses, sizes and scalars. */
export interface StepCall {
  readonly fn: number;
  readonly slots: readonly Address[];
  readonly sizes: Sizes;
  /** Whether gradients of weights are added to rather than written. */
  readonly adds: boolean;
  readonly scalar: (name: string) => number;
  /** Whether what these sizes take is bound, not what the bounds would. */
  readonly exact: boolean;
  /** What it is part of, for those who measure. */
  readonly site: string;
  readonly phase: LinkedCall['phase'] | 'update';
}

/** Bytes from one micro-batch to the next of what each has of its own: inputs, and main's results. */
export interface MicroStrides {
  readonly inputs: number;
  readonly results: number;
}

/** What a call asks of its micro-batch. */
export interface CallGiven {
  readonly sizes: Sizes;
  /** A scalar by its name and the site that asks. */
  readonly scalar: (name: string, site: string) => number;
}

function ofMicroBatch(address: Address, micro: number, strides: MicroStrides): Address {
  if (address < 0) return address;
  const buffer = bufferOf(address);
  if (buffer === BUFFERS.inputs) return address + micro * strides.inputs;
  return buffer === BUFFERS.results ? address + micro * strides.results : address;
}

/** A call of micro-batch `micro`. A call's own constants come before what the step gives for its site. */
export function stepCall({ calls }: Pick<Program, 'calls'>, call: LinkedCall, given: CallGiven, micro: number, strides: MicroStrides): StepCall {
  const sum = call.phase === 'sum';
  const decl = sum ? null : at(calls, call.call);
  const site = decl?.site ?? '';
  return {
    fn: call.fn,
    slots: micro === 0 ? call.slots : call.slots.map((address) => ofMicroBatch(address, micro, strides)),
    sizes: sum ? { ...given.sizes, N: call.rows } : given.sizes,
    adds: call.adds,
    scalar: (name) => decl?.constants?.[name] ?? given.scalar(name, site),
    exact: sum,
    site,
    phase: call.phase,
  };
}

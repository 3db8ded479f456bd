/** @file Runs the probes of a model's units on a device: calls stage by stage, gradients read back as norms alone. */

import { type DeviceBuffers, readFloats } from './buffers.ts';
import { type Address, bufferOf, offsetOf } from './link/address.ts';
import { aligned } from './link/layout.ts';
import type { LinkedCall } from './link/linked.ts';
import type { ProbePlan } from './link/probe.ts';
import { addSquares, type NormRange, normRanges, sumBytes } from './probeNorms.ts';
import { type FunctionDecl, functionFlops, type Program, type Sizes } from './program.ts';
import type { PlannedCall } from './updatePhase.ts';
import type { Patience } from './webgpu/patience.ts';

/** Norms of gradients: each parameter's with nothing dropped, and with each unit dropped those of what lies below it. */
export interface Probed {
  readonly whole: ReadonlyMap<number, number>;
  readonly dropped: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** What was computed, forward included, and what of it a forward and backward are. */
  readonly flops: number;
  readonly wholeFlops: number;
}

/** What an engine lends for it. */
export interface ProbeRunner {
  readonly device: GPUDevice;
  readonly program: Program;
  readonly buffers: DeviceBuffers;
  readonly sizes: Sizes;
  readonly patience: Patience;
  readonly planned: (call: LinkedCall) => PlannedCall;
  /** Encodes calls in one pass, at most `buffers.maxBlocks` of them. */
  readonly run: (encoder: GPUCommandEncoder, calls: readonly PlannedCall[]) => void;
}

/** Runs every stage; nothing of the training state but gradients, which each step writes anew, is touched. Waits for the device. */
export async function runProbes({ stages }: ProbePlan, runner: ProbeRunner): Promise<Probed> {
  const { device, program, buffers, sizes, patience, planned, run } = runner;
  const fn = program.updates['sqnorm'] ?? -1;
  const { slots } = program.functions[fn] as FunctionDecl;
  /** Ranges whose rows were summed, and where in the buffer of all sums. */
  const summed: { readonly dropped: string | null; readonly range: NormRange; readonly offset: number }[] = [];
  let end = 0;
  const norm = (dropped: string | null, range: NormRange): PlannedCall => {
    const place: Record<string, Address> = { g: range.at, parts: buffers.probes + end };
    summed.push({ dropped, range, offset: end });
    end += sumBytes(range);
    return {
      fn,
      slots: slots.map((slot) => place[slot.name] ?? -1),
      sizes: { ...sizes, N: range.rows, Q: range.width / 4 },
      adds: false,
      scalar: () => 0,
      exact: true,
      site: dropped ?? '',
      phase: 'update',
    };
  };
  let [flops, wholeFlops] = [0, 0];
  for (const { dropped, cleared, calls, norms } of stages) {
    // sums of cotangents are not counted, as in steps
    const own = calls.reduce((n, { fn, phase }) => (phase === 'sum' ? n : n + functionFlops(program.functions[fn] as FunctionDecl, sizes)), 0);
    flops += own;
    if (dropped === null) wholeFlops += own;
    const all = [...calls.map(planned), ...normRanges(program, norms).map((range) => norm(dropped, range))];
    if (cleared.length > 0) {
      const encoder = device.createCommandEncoder();
      for (const { param, at } of cleared)
        encoder.clearBuffer(buffers.table[bufferOf(at)] as GPUBuffer, offsetOf(at), aligned(program.params[param]?.bytes ?? 0));
      device.queue.submit([encoder.finish()]);
    }
    for (let from = 0; from < all.length; from += buffers.maxBlocks) {
      const encoder = device.createCommandEncoder();
      run(encoder, all.slice(from, from + buffers.maxBlocks));
      device.queue.submit([encoder.finish()]);
    }
  }
  const ticket = patience.submitted(flops);
  await ticket.rest();
  const sums = await ticket.pending(readFloats(device, buffers.table[bufferOf(buffers.probes)] as GPUBuffer, offsetOf(buffers.probes), end));
  ticket.finished();
  const squares = new Map<string | null, Map<number, number>>();
  for (const { dropped, range, offset } of summed) {
    const own = squares.get(dropped) ?? new Map<number, number>();
    squares.set(dropped, own);
    addSquares(own, range, sums, offset / 4);
  }
  const roots = (own: ReadonlyMap<number, number> = new Map()): Map<number, number> => new Map([...own].map(([p, sum]) => [p, Math.sqrt(sum)]));
  const units = new Map(stages.flatMap(({ dropped }) => (dropped === null ? [] : [[dropped, roots(squares.get(dropped))] as const])));
  return { whole: roots(squares.get(null)), dropped: units, flops, wholeFlops };
}

/** @file Runs the probes of a model's units on a device: calls stage by stage, gradients read back as norms alone. */

import { at, invariant } from '../errors.ts';
import { BLOCK_BYTES, type Device } from './device.ts';
import type { Encoder } from './encode.ts';
import { bufferAt, type EngineBuffers } from './engineBuffers.ts';
import { type Address, offsetOf } from './link/address.ts';
import { aligned } from './link/layout.ts';
import type { LinkedCall } from './link/linked.ts';
import type { LinkedProbes, ProbeStage } from './link/probe.ts';
import { addSquares, type NormRange, normRanges, sumBytes } from './probeNorms.ts';
import { functionFlops, type Program, type Sizes } from './program.ts';
import type { StepCall } from './stepCall.ts';

/** Norms of gradients: each parameter's with nothing dropped, and with each unit dropped those of what lies below it. */
export interface Probed {
  readonly whole: ReadonlyMap<number, number>;
  readonly dropped: ReadonlyMap<string, ReadonlyMap<number, number>>;
  /** FLOPs of everything that was computed, the forward included. */
  readonly flops: number;
  /** FLOPs of one forward and backward. */
  readonly wholeFlops: number;
}

/** The parts of an engine that probing uses. */
export interface ProbeRunner {
  readonly device: Device;
  readonly program: Program;
  readonly buffers: EngineBuffers;
  readonly sizes: Sizes;
  readonly stepCallOf: (call: LinkedCall) => StepCall;
  readonly encoder: Encoder;
}

/** A range whose rows are summed by a dispatch, and where in the buffer of all sums. */
interface SummedRange {
  /** The unit that is dropped, or null: nothing is. */
  readonly dropped: string | null;
  readonly range: NormRange;
  readonly offset: number;
}

/** The ranges of all stages, one behind the other in the buffer of sums; how many bytes that takes. */
function sumsOf(program: Program, stages: readonly ProbeStage[]): { readonly byStage: readonly (readonly SummedRange[])[]; readonly bytes: number } {
  let end = 0;
  const byStage = stages.map(({ dropped, norms }) =>
    normRanges(program, norms).map((range): SummedRange => {
      const offset = end;
      end += sumBytes(range);
      return { dropped, range, offset };
    }),
  );
  return { byStage, bytes: end };
}

/** The call that sums the squares of a range's rows. */
function normCall({ program, buffers, sizes }: ProbeRunner, { dropped, range, offset }: SummedRange): StepCall {
  const fn = program.updates['sqnorm'];
  invariant(fn !== undefined, 'the program has no function sqnorm');
  const place: Readonly<Record<string, Address>> = { g: range.at, parts: buffers.probes + offset };
  return {
    fn,
    slots: at(program.functions, fn).slots.map((slot) => {
      const own = place[slot.name];
      invariant(own !== undefined, `sqnorm has a slot ${slot.name} that nothing is bound to`);
      return own;
    }),
    sizes: { ...sizes, N: range.rows, Q: range.width / 4 },
    adds: false,
    scalar: () => 0,
    exact: true,
    site: dropped ?? '',
    phase: 'update',
  };
}

/** FLOPs of a stage. Sums of cotangents are not counted, as in steps. */
function stageFlops({ program, sizes }: ProbeRunner, { calls }: ProbeStage): number {
  return calls.reduce((sum, { fn, phase }) => (phase === 'sum' ? sum : sum + functionFlops(at(program.functions, fn), sizes)), 0);
}

/** Submits a stage: what has to be zero before, then its calls, as many at once as there are parameter blocks for. */
function submitStage(runner: ProbeRunner, { cleared, calls: linked }: ProbeStage, summed: readonly SummedRange[], flops: number): void {
  const { device, program, buffers, encoder, stepCallOf } = runner;
  const calls = [...linked.map(stepCallOf), ...summed.map((sum) => normCall(runner, sum))];
  const most = buffers.blocks.bytes / BLOCK_BYTES;
  if (cleared.length > 0) {
    const clears = device.record();
    for (const { param, at: place } of cleared) clears.clear(bufferAt(buffers, place), offsetOf(place), aligned(at(program.params, param).bytes));
    device.submit(clears);
  }
  for (let from = 0; from < calls.length; from += most) {
    const part = calls.slice(from, from + most);
    const recording = device.record();
    encoder.fill(part);
    encoder.encode(recording, part, 0, part.length);
    device.submit(recording, flops * (part.length / calls.length));
  }
}

/** Runs every stage; nothing of the training state but gradients, which each step writes anew, is touched. Waits for the device. */
export async function runProbes({ stages }: LinkedProbes, runner: ProbeRunner): Promise<Probed> {
  const { device, program, buffers } = runner;
  const sums = sumsOf(program, stages);
  let [flops, wholeFlops] = [0, 0];
  for (const [i, stage] of stages.entries()) {
    const own = stageFlops(runner, stage);
    flops += own;
    if (stage.dropped === null) wholeFlops += own;
    submitStage(runner, stage, at(sums.byStage, i), own);
  }
  const rows = new Float32Array(await device.read(bufferAt(buffers, buffers.probes), offsetOf(buffers.probes), sums.bytes));
  const squares = new Map<string | null, Map<number, number>>();
  for (const { dropped, range, offset } of sums.byStage.flat()) {
    const own = squares.get(dropped) ?? new Map<number, number>();
    squares.set(dropped, own);
    addSquares(own, range, rows, offset / 4);
  }
  const roots = (own: ReadonlyMap<number, number> = new Map()): Map<number, number> => new Map([...own].map(([p, sum]) => [p, Math.sqrt(sum)]));
  const units = new Map(stages.flatMap(({ dropped }) => (dropped === null ? [] : [[dropped, roots(squares.get(dropped))] as const])));
  return { whole: roots(squares.get(null)), dropped: units, flops, wholeFlops };
}

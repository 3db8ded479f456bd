/** @file Norms of every gradient with nothing dropped, and with each unit dropped alone, from one forward. */

import { EbbError } from '../errors.ts';
import { type Address, address, BUFFERS, bufferOf, offsetOf } from './address.ts';
import { readFloats, USAGE } from './buffers.ts';
import type { MicroBatch } from './execute.ts';
import { functionOf } from './forms.ts';
import { aligned } from './layout.ts';
import type { LinkedCall, Linker, Variant } from './link.ts';
import { type FunctionDecl, functionFlops, type Program } from './program.ts';
import type { StoragePlan } from './storage.ts';
import type { PlannedCall } from './updatePhase.ts';

/** Squared norms of gradients by parameter of the program; 0 where it has none. */
export type SquaredNorms = readonly number[];

export interface GradientProbe {
  readonly whole: SquaredNorms;
  /** With a unit dropped, by unit; parameters above it have the norms of `whole`. */
  readonly without: ReadonlyMap<string, SquaredNorms>;
  /** FLOPs that ran, and those of (units + 1) forwards and backwards, as the reference code runs them; norms not counted. */
  readonly flops: number;
  readonly officialFlops: number;
}

/** What of an engine a probe works with. */
export interface ProbeParts {
  readonly device: GPUDevice;
  readonly program: Program;
  readonly storage: StoragePlan;
  readonly linker: Linker;
  readonly table: readonly (GPUBuffer | undefined)[];
  readonly stackBytes: number;
  planned(call: LinkedCall, micro: MicroBatch, m: number): PlannedCall;
  run(encoder: GPUCommandEncoder, calls: readonly PlannedCall[]): number;
  writeInputs(micro: MicroBatch, m: number): void;
  clearGradient(encoder: GPUCommandEncoder, param: number): void;
}

/** A trainable parameter's gradient, or part of it, as long as a binding holds it; its partial sums lie at `parts` above the stack. */
interface Piece {
  readonly param: number;
  readonly at: Address;
  readonly bytes: number;
}
const PARTS_BYTES = 256;

function piecesOf(program: Program, storage: StoragePlan): readonly Piece[] {
  return program.params.flatMap((p, param) => {
    const at = storage.placement.gradients[param];
    if (at === null || at === undefined) return [];
    const whole = aligned(p.bytes);
    const most = Math.floor(program.partBytes / PARTS_BYTES) * PARTS_BYTES;
    return Array.from({ length: Math.ceil(whole / most) }, (_, k) => ({ param, at: at + k * most, bytes: Math.min(most, whole - k * most) }));
  });
}

const ALL: Parameters<Linker['link']>[1] = { lasting: true };

/** Bytes of the stack that a probe takes, which can be more than any step's: what forward saves is there to the end. */
export function probeStackBytes(program: Program, storage: StoragePlan, linker: Linker): number {
  return linker.link(new Map(), ALL).stackBytes + piecesOf(program, storage).length * PARTS_BYTES;
}

/**
 * Walks down from the loss. Above a unit nothing changes when it is dropped, so at each unit the backward of all below it runs once from a
 * copy of the gradient that passes it by, its norms are taken, what it wrote over is put back, and the unit's own backward runs. Saved values
 * lie still throughout; gradients are only ever read as norms. Parameters, moments and random streams are not touched.
 * @throws EbbError for an engine made without memory for it (`probeStackBytes`), and for trunk whose backward overwrites what it reads
 */
export async function probeGradients(parts: ProbeParts, micro: MicroBatch): Promise<GradientProbe> {
  const { device, program, storage, linker, table } = parts;
  const whole = linker.link(new Map(), ALL);
  const pieces = piecesOf(program, storage);
  const normsAt = whole.stackBytes;
  const normBytes = pieces.length * PARTS_BYTES;
  if (normsAt + normBytes > parts.stackBytes)
    throw new EbbError(`gradients with units dropped need ${normsAt + normBytes} bytes of activations, the engine was made for ${parts.stackBytes}`);
  const units = program.calls.flatMap((c, i) => (c.unit && whole.kept.includes(c.site) ? [{ site: c.site, index: i }] : [])).reverse();
  checkOverwrites(program, whole, units[0]?.index ?? 0);
  const stack = table[BUFFERS.stack] as GPUBuffer;
  const slots = table[BUFFERS.slots] as GPUBuffer;
  const results = device.createBuffer({ size: Math.max(256, (units.length + 1) * normBytes), usage: USAGE.copyDst | USAGE.copySrc });
  const spare = createSpare(parts, whole, units.at(-1)?.index ?? 0, slots);
  const submit = (calls: readonly LinkedCall[], before: (e: GPUCommandEncoder) => void = () => {}, after: (e: GPUCommandEncoder) => void = () => {}): void => {
    const encoder = device.createCommandEncoder();
    before(encoder);
    for (const { zeroed } of calls) for (const p of zeroed) parts.clearGradient(encoder, p);
    parts.run(
      encoder,
      calls.map((call) => parts.planned(call, micro, 0)),
    );
    after(encoder);
    device.queue.submit([encoder.finish()]);
  };
  /** Norms of the gradients that `calls` made, as the n-th result. */
  const takeNorms = (touched: ReadonlySet<number>, nth: number): void => {
    const planned = pieces.flatMap((piece, k) => (touched.has(piece.param) ? [normCall(program, piece, normsAt + k * PARTS_BYTES)] : []));
    const cleared = device.createCommandEncoder();
    cleared.clearBuffer(stack, normsAt, normBytes);
    device.queue.submit([cleared.finish()]);
    // as many at once as there are uniform blocks for
    for (let from = 0; from < planned.length; from += program.calls.length) {
      const some = device.createCommandEncoder();
      parts.run(some, planned.slice(from, from + program.calls.length));
      device.queue.submit([some.finish()]);
    }
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(stack, normsAt, results, nth * normBytes, normBytes);
    device.queue.submit([encoder.finish()]);
  };

  parts.writeInputs(micro, 0);
  let done = Math.min(...program.calls.flatMap((_, i) => whole.backwardFrom[i] ?? []));
  submit(whole.calls.slice(0, done));
  const flopsOf = (calls: readonly LinkedCall[]): number => calls.reduce((sum, { fn }) => sum + functionFlops(functionOf(program, fn), micro.sizes), 0);
  let flops = flopsOf(whole.calls);
  const writes = new Map<string, ReadonlySet<number>>();
  for (const [nth, { site, index }] of units.entries()) {
    const from = whole.backwardFrom[index] ?? done;
    submit(whole.calls.slice(done, from));
    done = from;
    const without = linker.link(new Map([[site, 'dropped']]), ALL);
    const chain = without.calls.slice(without.backwardFrom[index]);
    const touched = new Set(chain.flatMap((call) => gradientsOf(program, call)));
    writes.set(site, touched);
    submit(chain, spare.save);
    flops += flopsOf(chain);
    takeNorms(touched, nth);
    submit([], spare.restore);
  }
  submit(whole.calls.slice(done));
  takeNorms(whole.touched, units.length);
  const found = await readFloats(device, results, 0, (units.length + 1) * normBytes);
  results.destroy();
  spare.destroy();
  const normsOf = (nth: number): number[] => {
    const norms = program.params.map(() => 0);
    pieces.forEach(({ param }, k) => {
      const at = (nth * normBytes + k * PARTS_BYTES) / 4;
      norms[param] = found.subarray(at, at + PARTS_BYTES / 4).reduce((sum, x) => sum + x, norms[param] ?? 0);
    });
    return norms;
  };
  const all = normsOf(units.length);
  const own = new Map(units.map(({ site, index }) => [site, below(program, whole, index)]));
  const alone = units.map(({ site }, nth): [string, SquaredNorms] => {
    const norms = normsOf(nth);
    return [site, all.map((norm, p) => (own.get(site)?.has(p) ? (writes.get(site)?.has(p) ? (norms[p] ?? 0) : 0) : norm))];
  });
  return { whole: all, without: new Map(alone.reverse()), flops, officialFlops: (units.length + 1) * flopsOf(whole.calls) };
}

/** Parameters whose gradients a backward call writes. */
function gradientsOf(program: Program, { call, phase, fn }: LinkedCall): number[] {
  const decl = program.calls[call];
  if (!decl || phase !== 'backward') return [];
  const form = decl.backwards.find((b) => b.function === fn);
  return (form?.gradientOf ?? []).flatMap((a) => {
    const argument = decl.arguments[a];
    return argument?.kind === 'param' ? [argument.param] : [];
  });
}

/** Parameters that the backward of a call, or of those below it, adds to. */
function below(program: Program, whole: Variant, index: number): ReadonlySet<number> {
  return new Set(whole.calls.slice(whole.backwardFrom[index]).flatMap((call) => gradientsOf(program, call)));
}

interface Spare {
  save(encoder: GPUCommandEncoder): void;
  restore(encoder: GPUCommandEncoder): void;
  destroy(): void;
}

/** Keeps what a side chain writes over: the gradients under way, and those of parameters used above and below (tied weights). */
function createSpare({ device, program, storage, table }: ProbeParts, whole: Variant, lowest: number, slots: GPUBuffer): Spare {
  const later = whole.calls.slice(whole.backwardFrom[lowest]).flatMap((call) => gradientsOf(program, call));
  const earlier = new Set(whole.calls.slice(0, whole.backwardFrom[lowest]).flatMap((call) => gradientsOf(program, call)));
  const ranges = [...new Set(later)]
    .filter((p) => earlier.has(p))
    .map((p) => {
      const at = storage.placement.gradients[p] ?? 0;
      return { buffer: table[bufferOf(at)] as GPUBuffer, offset: offsetOf(at), bytes: aligned(program.params[p]?.bytes ?? 0) };
    });
  const copies = [{ buffer: slots, offset: 0, bytes: slots.size }, ...ranges].map((range) => ({
    ...range,
    copy: device.createBuffer({ size: range.bytes, usage: USAGE.copySrc | USAGE.copyDst }),
  }));
  return {
    save: (encoder) => {
      for (const { buffer, offset, bytes, copy } of copies) encoder.copyBufferToBuffer(buffer, offset, copy, 0, bytes);
    },
    restore: (encoder) => {
      for (const { buffer, offset, bytes, copy } of copies) encoder.copyBufferToBuffer(copy, 0, buffer, offset, bytes);
    },
    destroy: () => {
      for (const { copy } of copies) copy.destroy();
    },
  };
}

function normCall(program: Program, { at, bytes }: Piece, parts: number): PlannedCall {
  const fn = program.updates['sqnorm'] ?? -1;
  const byName: Readonly<Record<string, Address>> = { g: at, parts: address(BUFFERS.stack, parts) };
  const { slots } = program.functions[fn] as FunctionDecl;
  return {
    fn,
    slots: slots.map((slot) => byName[slot.name] ?? -1),
    sizes: { N: bytes / 16, Q: bytes / PARTS_BYTES, G: 1 },
    adds: false,
    scalar: () => 0,
    exact: true,
    site: 'gradient norm',
    phase: 'update',
  };
}

/** A backward that runs several times has to find what it read the first time. @throws EbbError naming the trunk */
function checkOverwrites(program: Program, { calls }: Variant, highest: number): void {
  for (const { call, phase, fn } of calls) {
    if (phase !== 'backward' || call > highest) continue;
    const form = program.calls[call]?.backwards.find((b) => b.function === fn);
    const { params, slots } = functionOf(program, fn);
    const saved = new Set(params.flatMap((p, k) => (form?.sources[k]?.from === 'save' ? [p.slot] : [])));
    if (slots.some((s) => s.alias !== undefined && saved.has(s.alias)))
      throw new EbbError(`${program.calls[call]?.site}: lies below units and its backward overwrites what it saved; sensitivities cannot be measured`);
  }
}

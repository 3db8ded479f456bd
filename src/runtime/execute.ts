/** @file Runs linked variants on a device: the forward submitted while the rest is encoded, losses read back through a ring. */

import { EbbError } from '../errors.ts';
import type { ActivationBytes } from './bufferBytes.ts';
import { allocate, readFloats, USAGE } from './buffers.ts';
import { type DispatchTime, measuredPasses, type TimestampRecorder, timestampRecorder } from './dispatchTimes.ts';
import { createEncoder } from './encode.ts';
import { checkInputs, type InputData } from './inputs.ts';
import { type LastingValues, lastingValues } from './lasting.ts';
import { type Address, BUFFERS, bufferOf, offsetOf } from './link/address.ts';
import type { Form, Pattern } from './link/forms.ts';
import { createLinker, type Linker } from './link/link.ts';
import type { LinkedCall, Variant } from './link/linked.ts';
import type { ProbeKind } from './link/probe.ts';
import { probeBytes } from './probeNorms.ts';
import { extentBytes, type FunctionDecl, functionFlops, type Program, type Sizes } from './program.ts';
import { type Probed, runProbes } from './runProbes.ts';
import { planStorage, type StoragePlan } from './storage.ts';
import { type PlannedCall, type Update, updatePhase } from './updatePhase.ts';
import { createPatience } from './webgpu/patience.ts';
import { createPipelines, neededPipelines } from './webgpu/pipelines.ts';

export type { Update } from './updatePhase.ts';

/** One forward and backward. */
export interface MicroBatch {
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

/** A step that was submitted: what is known of it at once, and what the device has yet to say. */
export interface StepResult {
  /** One for each micro-batch. */
  readonly variants: readonly Variant[];
  /** Groups that were updated. */
  readonly updated: readonly number[];
  readonly dispatches: number;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Losses of the micro-batches and the gradient norm before clipping (NaN without an update). Waits for the device. */
  read(): Promise<{ losses: readonly number[]; gradNorm: number }>;
  /** Of a timed step: how long every dispatch took. Waits for the device. */
  readonly times?: () => Promise<readonly DispatchTime[]>;
}

export interface StepOptions {
  /** Time every dispatch, each alone on the device. @throws EbbError where the device has no timestamps */
  readonly timed?: boolean;
}

/** A program on a device: its pipelines, buffers and parameters. Create one with `createEngine`. */
export interface Engine extends LastingValues {
  readonly program: Program;
  readonly storage: StoragePlan;
  readonly linker: Linker;
  /** Bytes of each kind of buffer. */
  readonly memory: Readonly<Record<string, number>>;
  /** Device buffers by id. */
  readonly buffers: readonly (GPUBuffer | undefined)[];
  /**
   * Submits the micro-batches and, unless null, the update.
   * @throws EbbError for an input that is missing, of another size, or holds ids that there are not, and for more micro-batches than planned
   */
  step(micros: readonly MicroBatch[], update: Update | null, options?: StepOptions): StepResult;
  /**
   * Norms of gradients with one unit dropped at a time (./probe.ts). Touches nothing that outlives a step. The engine is made with `probes`.
   */
  probe(micro: Pick<MicroBatch, 'sizes' | 'inputs' | 'scalar'>): Promise<Probed>;
  /** Runs forward and returns main's results as f32. */
  forward(micro: Omit<MicroBatch, 'pattern' | 'forwardOnly'>): Promise<Float32Array[]>;
  /** Frees the buffers; the device stays. */
  destroy(): void;
}

/** What memory is allocated for. */
export interface EngineOptions {
  /** Most micro-batches in a step. */
  readonly micros: number;
  /** Whether a parameter is under weight decay. */
  readonly decays: (param: number) => boolean;
  /** An engine of the same model whose weights and states this one uses (prefill and decoding). */
  readonly share?: Engine;
  /** Gradients and moments are allocated only for training. */
  readonly optimizer: 'adamw' | 'sgd' | 'none';
  /** Forms that patterns may hold; default all but `remat`. */
  readonly forms?: readonly Form[];
  /** What `probe` measures; memory is allocated for it. */
  readonly probes?: ProbeKind;
  /** Memory for what moves; default enough for every pattern of these forms. */
  readonly activations?: ActivationBytes;
}

/** Prepares a program on a device: compiles its pipelines, allocates its buffers. Nothing is created afterwards. */
export async function createEngine(device: GPUDevice, program: Program, options: EngineOptions): Promise<Engine> {
  const bounds: Record<string, number> = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const storage = planStorage(program, bounds, { maxBufferSize: device.limits.maxBufferSize, maxBinding: program.partBytes }, options.decays);
  const linker = createLinker(program, storage.placement, bounds);
  const { micros: maxMicros, optimizer, forms = ['full', 'dropped', 'skipped'] } = options;
  const activations = options.activations ?? linker.bounds(forms);
  const pipelines = await createPipelines(device, program.pipelines, neededPipelines(program, maxMicros, options.probes !== undefined));
  const probes = options.probes === undefined ? null : linker.probes(options.probes);
  const buffers = await allocate(device, program, bounds, storage, {
    micros: maxMicros,
    optimizer,
    activations: probes
      ? { stackBytes: Math.max(activations.stackBytes, probes.stackBytes), slotBytes: Math.max(activations.slotBytes, probes.slotBytes) }
      : activations,
    shared: options.share?.buffers ?? [],
    probeBytes: probes ? probeBytes(program, probes) : 0,
  });
  const { table, resultBytes } = buffers;
  const encoding = createEncoder(device, program, bounds, pipelines, buffers);
  const { clearGradient, ...values } = lastingValues(device, program, storage, table);
  let ringAt = 0;
  const patience = createPatience();
  const maxDispatches = buffers.maxBlocks * Math.max(1, ...program.functions.map((fn) => fn.dispatches.length));

  /** A call of micro-batch `m`: inputs and results of their own, a call's own constants before what the step gives for its site. */
  const planned = (call: LinkedCall, micro: Pick<MicroBatch, 'sizes' | 'scalar'>, m: number): PlannedCall => {
    const { site = '', constants = {} } = program.calls[call.call] ?? {};
    const sizes = call.phase === 'sum' ? { ...micro.sizes, N: call.rows } : micro.sizes;
    return {
      fn: call.fn,
      slots: m === 0 ? call.slots : call.slots.map((at) => ofMicroBatch(at, m)),
      sizes,
      adds: call.adds,
      scalar: (name) => constants[name] ?? micro.scalar(name, site),
      exact: call.phase === 'sum',
      site,
      phase: call.phase,
    };
  };
  const ofMicroBatch = (at: Address, m: number): Address => {
    if (at < 0) return at;
    const id = bufferOf(at);
    if (id === BUFFERS.inputs) return at + m * storage.inputBytes;
    return id === BUFFERS.results ? at + m * resultBytes : at;
  };

  /** FLOPs of each function, for as long as micro-batches come with the same sizes. */
  const flops = new Map<number, number>();
  let flopSizes: Sizes = {};
  const flopsOf = (fn: number, sizes: Sizes): number => {
    if (sizes !== flopSizes && program.dims.some(({ name }) => sizes[name] !== flopSizes[name])) flops.clear();
    flopSizes = sizes;
    const known = flops.get(fn);
    if (known !== undefined) return known;
    const counted = functionFlops(program.functions[fn] as FunctionDecl, { ...bounds, ...sizes });
    flops.set(fn, counted);
    return counted;
  };

  /** Writes the uniform blocks of `calls`; they are read from when the calls are submitted. */
  const fill = (calls: readonly PlannedCall[]): void => {
    if (calls.length > buffers.maxBlocks) throw new Error('internal: more uniform blocks than planned');
    for (const [at, call] of calls.entries()) encoding.write(at, call);
    encoding.flush(calls.length);
  };
  /** Encodes filled calls [from, to): in one pass, or each dispatch in a pass between timestamps. Returns the number of dispatches. */
  const encode = (encoder: GPUCommandEncoder, calls: readonly PlannedCall[], from: number, to: number, recorder: TimestampRecorder | null): number => {
    const { passes, end } = recorder ? measuredPasses(program, bounds, encoder, recorder) : onePass(encoder);
    let dispatches = 0;
    for (let at = from; at < to; at++) dispatches += encoding.encode(passes, at, calls[at] as PlannedCall);
    end();
    return dispatches;
  };
  const run = (encoder: GPUCommandEncoder, calls: readonly PlannedCall[]): number => {
    fill(calls);
    return encode(encoder, calls, 0, calls.length, null);
  };

  const writeInputs = (micro: Pick<MicroBatch, 'inputs'>, index: number): void => {
    program.inputs.forEach((input, i) => {
      const given = micro.inputs[input.name] as InputData[string];
      const at = storage.placement.inputs[i] ?? 0;
      device.queue.writeBuffer(
        table[BUFFERS.inputs] as GPUBuffer,
        offsetOf(at) + index * storage.inputBytes,
        given.buffer as ArrayBuffer,
        given.byteOffset,
        given.byteLength,
      );
    });
  };

  const step: Engine['step'] = (micros, update, { timed = false } = {}) => {
    const recorder = timed ? timestampRecorder(device, maxDispatches) : null;
    if (micros.length > maxMicros) throw new EbbError(`a step has ${micros.length} micro-batches, the engine was made for ${maxMicros}`);
    for (const { sizes, inputs } of micros) checkInputs(program, sizes, inputs);
    const written = new Set<number>();
    const zeroed: number[] = [];
    let forwardFlops = 0;
    let backwardFlops = 0;
    const calls: PlannedCall[] = [];
    const variants = micros.map((micro, m): Variant => {
      const variant = linker.link(micro.pattern, { forwardOnly: micro.forwardOnly ?? false, written });
      const unplanned = [...micro.pattern].find(([, form]) => !forms.includes(form));
      if (unplanned) throw new EbbError(`${unplanned[0]}: form ${unplanned[1]} was not planned for, the engine was made for ${forms.join(', ')}`);
      if (variant.stackBytes > activations.stackBytes || variant.slotBytes > activations.slotBytes)
        throw new EbbError(
          `a pattern needs ${variant.stackBytes} + ${variant.slotBytes} bytes of activations, the engine was made for ${activations.stackBytes} + ${activations.slotBytes}`,
        );
      for (const p of variant.touched) written.add(p);
      writeInputs(micro, m);
      for (const call of variant.calls) {
        calls.push(planned(call, micro, m));
        zeroed.push(...call.zeroed);
        if (call.phase === 'forward') forwardFlops += flopsOf(call.fn, micro.sizes);
        else if (call.phase !== 'sum') backwardFlops += flopsOf(call.fn, micro.sizes);
      }
      return variant;
    });
    const updated = update ? storage.groups.flatMap((g, i) => (update.alsoUntouched || g.params.some((p) => written.has(p)) ? [i] : [])) : [];
    if (update && updated.length > 0) calls.push(...updatePhase(program, storage, buffers, update, updated));

    let encoder = device.createCommandEncoder();
    for (const p of zeroed) clearGradient(encoder, p);
    if (update) {
      encoder.clearBuffer(buffers.norms);
      if (update.alsoUntouched) for (const g of storage.groups) for (const p of g.params) if (!written.has(p)) clearGradient(encoder, p);
    }
    fill(calls);
    // the device starts on the first forward while the rest is encoded
    const forward = recorder ? 0 : calls.findIndex(({ phase }) => phase !== 'forward');
    let dispatches = 0;
    if (forward > 0) {
      dispatches = encode(encoder, calls, 0, forward, null);
      device.queue.submit([encoder.finish()]);
      encoder = device.createCommandEncoder();
    }
    dispatches += encode(encoder, calls, Math.max(0, forward), calls.length, recorder);
    const readback = buffers.ring[ringAt++ % buffers.ring.length] as GPUBuffer;
    if (readback.mapState !== 'unmapped') throw new Error('internal: more steps unread than the ring holds');
    // the loss of each micro-batch is its first result; the gradient norm comes behind them
    for (let m = 0; m < micros.length; m++) encoder.copyBufferToBuffer(table[BUFFERS.results] as GPUBuffer, m * resultBytes, readback, 4 * m, 4);
    encoder.copyBufferToBuffer(buffers.norms, offsetOf(buffers.norm), readback, 4 * maxMicros, 4);
    device.queue.submit([encoder.finish()]);
    const ticket = patience.submitted(forwardFlops + backwardFlops);
    return {
      variants,
      updated,
      dispatches,
      forwardFlops,
      backwardFlops,
      async read() {
        await ticket.rest();
        await ticket.pending(readback.mapAsync(USAGE.mapRead));
        ticket.finished();
        const mapped = readback.getMappedRange();
        const losses = Array.from(new Float32Array(mapped, 0, micros.length));
        const norm = new Float32Array(mapped, 4 * maxMicros, 1)[0] ?? Number.NaN;
        readback.unmap();
        return { losses, gradNorm: updated.length > 0 ? norm : update ? 0 : Number.NaN };
      },
      ...(recorder ? { times: () => recorder.read() } : {}),
    };
  };

  return {
    program,
    storage,
    linker,
    memory: buffers.memory,
    buffers: table,
    step,
    async probe(micro) {
      if (!probes) throw new Error('internal: the engine was made without probes');
      checkInputs(program, micro.sizes, micro.inputs);
      writeInputs(micro, 0);
      return runProbes(probes, { device, program, buffers, sizes: { ...bounds, ...micro.sizes }, patience, planned: (call) => planned(call, micro, 0), run });
    },
    async forward(micro) {
      checkInputs(program, micro.sizes, micro.inputs);
      const variant = linker.link(new Map(), { forwardOnly: true });
      writeInputs(micro, 0);
      const encoder = device.createCommandEncoder();
      run(
        encoder,
        variant.calls.map((call) => planned(call, micro, 0)),
      );
      device.queue.submit([encoder.finish()]);
      let offset = 0;
      const out: Float32Array[] = [];
      for (const r of program.results) {
        const extent = program.values[r]?.extent ?? { of: [], bytes: 0 };
        const bytes = Math.ceil(extentBytes(extent, { ...bounds, ...micro.sizes }) / 4) * 4;
        out.push(await readFloats(device, table[BUFFERS.results] as GPUBuffer, offset, bytes));
        offset += Math.ceil(extentBytes(extent, bounds) / 256) * 256;
      }
      return out;
    },
    ...values,
    destroy: buffers.destroy,
  };
}

function onePass(encoder: GPUCommandEncoder): ReturnType<typeof measuredPasses> {
  const pass = encoder.beginComputePass();
  return { passes: () => pass, end: () => pass.end() };
}

/** @file Runs linked variants on a device: buffers, uniform blocks, one submission a step, losses read back through a ring. */

import { EbbError } from '../errors.ts';
import { slotBytes } from './layout.ts';
import { type Address, address, BUFFERS, bufferOf, createLinker, type LinkedCall, type Linker, offsetOf, type Pattern, type Variant } from './link.ts';
import { createPipelines, type Pipeline } from './pipelines.ts';
import { ACCUMULATE_WORD, extentBytes, type FlopTerm, type FunctionDecl, type Program } from './program.ts';
import { PAGE_KINDS, planStorage, type StoragePlan, trainableBuffer } from './storage.ts';

export type Sizes = Readonly<Record<string, number>>;
export type InputData = Readonly<Record<string, Int32Array | Uint32Array | Float32Array>>;

/** One forward and backward. */
export interface MicroBatch {
  /** Run-time dimensions, e.g. B and T. */
  readonly sizes: Sizes;
  readonly inputs: InputData;
  readonly pattern: Pattern;
  /** A scalar by its name and the site that asks: branch_weight, seed, position, loss_scale. */
  readonly scalar: (name: string, site: string) => number;
  readonly forwardOnly?: boolean;
}

/** The optimizer's part of a step; scalars of a group by name. */
export interface Update {
  readonly optimizer: 'adamw' | 'sgd';
  readonly maxNorm: number;
  readonly scalar: (name: string, group: number) => number;
  /** Groups to update besides those that got a gradient (`missingGrad: zeros`). */
  readonly alsoUntouched: boolean;
}

export interface StepResult {
  readonly variants: readonly Variant[];
  /** Groups that were updated. */
  readonly updated: readonly number[];
  readonly dispatches: number;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  /** Losses of the micro-batches and the gradient norm before clipping (NaN without an update). Waits for the device. */
  read(): Promise<{ losses: readonly number[]; gradNorm: number }>;
}

export interface Engine {
  readonly program: Program;
  readonly storage: StoragePlan;
  readonly linker: Linker;
  /** Bytes of each kind of buffer. */
  readonly memory: Readonly<Record<string, number>>;
  /** Device buffers by id. */
  readonly buffers: readonly (GPUBuffer | undefined)[];
  step(micros: readonly MicroBatch[], update: Update | null): StepResult;
  /** Runs forward and returns main's results as f32. */
  forward(micro: Omit<MicroBatch, 'pattern' | 'forwardOnly'>): Promise<Float32Array[]>;
  writeParam(param: number, data: ArrayBufferView): void;
  readParam(param: number, kind?: (typeof PAGE_KINDS)[number]): Promise<Float32Array>;
  writeMoment(param: number, kind: 'm' | 'v', data: Float32Array): void;
  destroy(): void;
}

export interface EngineOptions {
  /** Most micro-batches in a step. */
  readonly micros: number;
  readonly decays: (param: number) => boolean;
  /** An engine of the same model whose weights and states this one uses (prefill and decoding). */
  readonly share?: Engine;
  /** Gradients and moments are allocated only for training. */
  readonly optimizer: 'adamw' | 'sgd' | 'none';
}

const BLOCK = 256;
const RING = 4;
const USAGE = { storage: 0x80, copySrc: 0x4, copyDst: 0x8, uniform: 0x40, mapRead: 0x1 };

function termsValue(terms: readonly FlopTerm[], sizes: Sizes): number {
  return terms.reduce((sum, t) => sum + t.flops * (sizes['B'] ?? 1) ** t.batch * (sizes['T'] ?? 1) ** t.length, 0);
}

/** FLOPs of one call of a function. */
export function functionFlops(fn: FunctionDecl, sizes: Sizes): number {
  return fn.dispatches.reduce((sum, d) => sum + termsValue(d.flops, sizes), 0);
}

/** Prepares a program on a device: compiles its pipelines, allocates its buffers. Nothing is created afterwards. */
export async function createEngine(device: GPUDevice, program: Program, options: EngineOptions): Promise<Engine> {
  const bounds: Record<string, number> = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const storage = planStorage(program, bounds, { maxBufferSize: device.limits.maxBufferSize, maxBinding: program.partBytes }, options.decays);
  const linker = createLinker(program, storage.placement, bounds);
  const pipelines = await createPipelines(device, program.pipelines);
  const resultBytes = program.results.reduce((n, r) => n + Math.ceil(extentBytes(program.values[r]?.extent ?? { of: [], bytes: 0 }, bounds) / 256) * 256, 0);

  const memory: Record<string, number> = {};
  const made: GPUBuffer[] = [];
  const buffer = (kind: string, bytes: number, usage: number): GPUBuffer => {
    const size = Math.max(256, Math.ceil(bytes / 256) * 256);
    if (size > device.limits.maxBufferSize)
      throw new EbbError(
        `${kind} needs a buffer of ${size} bytes, this device allows ${device.limits.maxBufferSize}; choose a smaller batch or length, or a higher drop rate`,
      );
    memory[kind] = (memory[kind] ?? 0) + size;
    const b = device.createBuffer({ label: kind, size, usage });
    made.push(b);
    return b;
  };
  const data = USAGE.storage | USAGE.copySrc | USAGE.copyDst;
  device.pushErrorScope('out-of-memory');
  const table: (GPUBuffer | undefined)[] = [];
  table[BUFFERS.stack] = buffer('activations', linker.bounds.stackBytes, data);
  table[BUFFERS.slots] = buffer('residuals', linker.bounds.slotBytes, data);
  table[BUFFERS.inputs] = buffer('inputs', storage.inputBytes * options.micros, data);
  table[BUFFERS.results] = buffer('results', resultBytes * options.micros, data);
  table[BUFFERS.states] = options.share?.buffers[BUFFERS.states] ?? buffer('states', storage.stateBytes, data);
  const kinds = options.optimizer === 'none' ? 2 : options.optimizer === 'sgd' ? 3 : 4;
  storage.trainablePages.forEach((bytes, page) => {
    PAGE_KINDS.slice(0, kinds).forEach((kind, k) => {
      table[trainableBuffer(page, k)] = buffer(kind, bytes, data);
    });
  });
  const firstFrozen = trainableBuffer(storage.trainablePages.length, 0);
  storage.frozenPages.forEach((bytes, page) => {
    table[firstFrozen + page] = options.share?.buffers[firstFrozen + page] ?? buffer('frozen', bytes, data);
  });
  const normId = firstFrozen + storage.frozenPages.length;
  const groupCount = storage.groups.length;
  const partBytes = 256;
  const norms = buffer('norms', partBytes * Math.max(1, groupCount) + 256, data);
  table[normId] = norms;
  const normScale = address(normId, partBytes * Math.max(1, groupCount));
  const maxBlocks = (program.calls.length * 4 + 8) * options.micros + groupCount * 2 + 2;
  const uniforms = buffer('uniforms', maxBlocks * BLOCK, USAGE.uniform | USAGE.copyDst);
  // the loss of each micro-batch is its first result; the gradient norm comes behind them
  const normAt = 4 * options.micros;
  const ring = Array.from({ length: RING }, () => ({
    buffer: buffer('readback', normAt + 8, USAGE.copyDst | USAGE.mapRead),
    busy: Promise.resolve() as Promise<unknown>,
  }));
  const failed = await device.popErrorScope();
  if (failed)
    throw new EbbError(
      `the device ran out of memory allocating ${Object.values(memory).reduce((a, b) => a + b, 0)} bytes; choose a smaller batch or length, a higher drop rate, or a smaller model`,
    );

  const blocks = new Uint32Array((maxBlocks * BLOCK) / 4);
  const floats = new Float32Array(blocks.buffer);
  const ints = new Int32Array(blocks.buffer);
  let ringAt = 0;

  const dimWords = program.dims.map((d) => d.name);
  const writeBlock = (at: number, sizes: Sizes, accumulate: number, fn: FunctionDecl, scalar: (name: string) => number): void => {
    const word = (at * BLOCK) / 4;
    dimWords.forEach((name, i) => {
      blocks[word + i] = sizes[name] ?? bounds[name] ?? 0;
    });
    blocks[word + ACCUMULATE_WORD] = accumulate;
    for (const s of fn.scalars) {
      const value = scalar(s.name);
      if (s.dtype === 'f32') floats[word + s.word] = value;
      else if (s.dtype === 'i32') ints[word + s.word] = value;
      else blocks[word + s.word] = value >>> 0;
    }
  };

  const bindGroup = (pipeline: Pipeline, bound: readonly Address[], bytes: readonly number[]): GPUBindGroup => {
    const key = bound.map((at, i) => (pipeline.dynamic[i] ? bufferOf(at) : at)).join() + bytes.join();
    const known = pipeline.groups.get(key);
    if (known) return known;
    const made = device.createBindGroup({
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: 0, size: BLOCK } },
        ...bound.map(
          (at, i): GPUBindGroupEntry => ({
            binding: i + 1,
            resource: { buffer: table[bufferOf(at)] as GPUBuffer, offset: pipeline.dynamic[i] ? 0 : offsetOf(at), size: bytes[i] ?? 256 },
          }),
        ),
      ],
    });
    pipeline.groups.set(key, made);
    return made;
  };

  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  const groupsOf = (grid: FunctionDecl['dispatches'][number]['grid'], sizes: Sizes): [number, number, number] => {
    const [x, y, z] = grid.map((axis) =>
      Math.ceil(axis.of.reduce<number>((p, d) => p * (typeof d === 'number' ? d : (sizes[d] ?? bounds[d] ?? 1)), 1) / axis.per),
    ) as [number, number, number];
    if (x <= limit) return [x, y, z];
    const rows = Math.ceil(x / limit);
    return [Math.ceil(x / rows), rows, z];
  };

  let dispatches = 0;
  /** Bytes of each slot at the bounds, by function: what is bound. */
  const bytesOf = program.functions.map((fn) => fn.slots.map((_, s) => slotBytes(fn, s, bounds)));
  const encode = (pass: GPUComputePassEncoder, fnIndex: number, slots: readonly Address[], block: number, sizes: Sizes, exact = false): void => {
    const fn = program.functions[fnIndex] as FunctionDecl;
    for (const d of fn.dispatches) {
      const pipeline = pipelines[d.pipeline] as Pipeline;
      const skipped = (i: number): number => (d.parts?.[i] ?? 0) * program.partBytes;
      const bound = d.slots.map((s, i) => (slots[s] ?? -1) + skipped(i));
      const bytes = d.slots.map((s, i) => {
        const whole = exact
          ? Math.max(16, Math.ceil(extentBytes(fn.slots[s]?.extent ?? { of: [], bytes: 4 }, sizes) / 16) * 16)
          : (bytesOf[fnIndex]?.[s] ?? 256);
        return Math.min(whole - skipped(i), program.partBytes);
      });
      const offsets = [block * BLOCK];
      bound.forEach((at, i) => {
        if (pipeline.dynamic[i]) offsets.push(offsetOf(at));
      });
      const [x, y, z] = groupsOf(d.grid, sizes);
      if (x * y * z === 0) continue;
      pass.setPipeline(pipeline.pipeline);
      pass.setBindGroup(0, bindGroup(pipeline, bound, bytes), offsets);
      pass.dispatchWorkgroups(x, y, z);
      dispatches++;
    }
  };

  /** A call's own constants, else what the step gives for its site. */
  const scalarsOf = (call: LinkedCall, given: MicroBatch['scalar']): ((name: string) => number) => {
    const { site = '', constants = {} } = program.calls[call.call] ?? {};
    return (name) => constants[name] ?? given(name, site);
  };

  const moveMicro = (call: LinkedCall, micro: number): Address[] =>
    call.slots.map((at) => {
      if (at < 0) return at;
      const id = bufferOf(at);
      if (id === BUFFERS.inputs) return at + micro * storage.inputBytes;
      return id === BUFFERS.results ? at + micro * resultBytes : at;
    });

  const writeInputs = (micro: MicroBatch, index: number): void => {
    program.inputs.forEach((input, i) => {
      const given = micro.inputs[input.name];
      if (!given) throw new EbbError(`input ${input.name} is missing from the batch`);
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

  const step = (micros: readonly MicroBatch[], update: Update | null): StepResult => {
    if (micros.length > options.micros) throw new EbbError(`a step has ${micros.length} micro-batches, the engine was made for ${options.micros}`);
    dispatches = 0;
    const written = new Set<number>();
    const variants: Variant[] = [];
    const zeroed: number[] = [];
    let forwardFlops = 0;
    let backwardFlops = 0;
    for (const micro of micros) {
      const variant = linker.link(micro.pattern, { forwardOnly: micro.forwardOnly ?? false, written });
      for (const p of variant.touched) written.add(p);
      variants.push(variant);
      for (const c of variant.calls) zeroed.push(...c.zeroed);
    }
    let block = 0;
    const plan: { call: LinkedCall; micro: number; block: number; sizes: Sizes }[] = [];
    variants.forEach((variant, m) => {
      const micro = micros[m] as MicroBatch;
      writeInputs(micro, m);
      for (const call of variant.calls) {
        const fn = program.functions[call.fn] as FunctionDecl;
        const sizes = call.phase === 'sum' ? { ...micro.sizes, N: call.rows } : micro.sizes;
        writeBlock(block, sizes, call.accumulate, fn, scalarsOf(call, micro.scalar));
        plan.push({ call, micro: m, block: block++, sizes });
        const flops = functionFlops(fn, micro.sizes);
        if (call.phase === 'forward') forwardFlops += flops;
        else if (call.phase !== 'sum') backwardFlops += flops;
      }
    });
    const updated = update ? storage.groups.flatMap((g, i) => (update.alsoUntouched || g.params.some((p) => written.has(p)) ? [i] : [])) : [];
    const updateBlock = block;
    if (update && updated.length > 0) block = writeUpdateBlocks(update, updated, block);
    if (block > maxBlocks) throw new Error('internal: more uniform blocks than planned');
    device.queue.writeBuffer(uniforms, 0, blocks.buffer, 0, block * BLOCK);

    const encoder = device.createCommandEncoder();
    for (const p of zeroed) clearGradient(encoder, p);
    if (update) {
      encoder.clearBuffer(norms);
      if (update.alsoUntouched) for (const g of storage.groups) for (const p of g.params) if (!written.has(p)) clearGradient(encoder, p);
    }
    const pass = encoder.beginComputePass();
    for (const { call, micro, block: at, sizes } of plan) encode(pass, call.fn, moveMicro(call, micro), at, sizes, call.phase === 'sum');
    if (update && updated.length > 0) encodeUpdate(pass, update, updated, updateBlock);
    pass.end();
    const entry = ring[ringAt] as (typeof ring)[number];
    ringAt = (ringAt + 1) % RING;
    if (entry.buffer.mapState !== 'unmapped') throw new Error('internal: more than ring steps unread');
    for (let m = 0; m < micros.length; m++) encoder.copyBufferToBuffer(table[BUFFERS.results] as GPUBuffer, m * resultBytes, entry.buffer, 4 * m, 4);
    encoder.copyBufferToBuffer(norms, offsetOf(normScale), entry.buffer, normAt, 8);
    device.queue.submit([encoder.finish()]);
    const updatesRan = updated.length > 0;
    return {
      variants,
      updated,
      dispatches,
      forwardFlops,
      backwardFlops,
      async read() {
        await entry.buffer.mapAsync(USAGE.mapRead);
        const mapped = entry.buffer.getMappedRange();
        const losses = Array.from(new Float32Array(mapped, 0, micros.length));
        const gradNorm = updatesRan ? (new Float32Array(mapped, normAt, 1)[0] ?? Number.NaN) : update ? 0 : Number.NaN;
        entry.buffer.unmap();
        return { losses, gradNorm };
      },
    };
  };

  function clearGradient(encoder: GPUCommandEncoder, param: number): void {
    const at = storage.placement.gradients[param];
    const bytes = Math.ceil((program.params[param]?.bytes ?? 0) / 4) * 4;
    if (at !== null && at !== undefined) encoder.clearBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), bytes);
  }

  const updateSizes = (group: number): Sizes => {
    const bytes = storage.groups[group]?.bytes ?? 0;
    return { N: bytes / 16, Q: bytes / 256, G: groupCount };
  };
  function writeUpdateBlocks(update: Update, updated: readonly number[], first: number): number {
    let block = first;
    const norm = program.functions[program.updates['sqnorm'] ?? -1] as FunctionDecl;
    const clipFn = program.functions[program.updates['clip'] ?? -1] as FunctionDecl;
    const fn = program.functions[program.updates[update.optimizer] ?? -1] as FunctionDecl;
    for (const g of updated) writeBlock(block++, updateSizes(g), 0, norm, () => 0);
    writeBlock(block++, updateSizes(0), 0, clipFn, () => update.maxNorm);
    for (const g of updated)
      writeBlock(block++, updateSizes(g), 0, fn, (name) => (name === 'decay_rows' ? (storage.groups[g]?.decayBytes ?? 0) / 16 : update.scalar(name, g)));
    return block;
  }
  function encodeUpdate(pass: GPUComputePassEncoder, update: Update, updated: readonly number[], first: number): void {
    let block = first;
    const place = (g: number, kind: number): Address => address(trainableBuffer(storage.groups[g]?.page ?? 0, kind), storage.groups[g]?.offset ?? 0);
    const bind = (name: string, byName: Readonly<Record<string, Address>>): { fn: number; slots: Address[] } => {
      const index = program.updates[name] ?? -1;
      const fn = program.functions[index] as FunctionDecl;
      return { fn: index, slots: fn.slots.map((s) => byName[s.name] ?? -1) };
    };
    for (const g of updated) {
      const { fn, slots } = bind('sqnorm', { g: place(g, 1), parts: address(normId, g * partBytes) });
      encode(pass, fn, slots, block++, updateSizes(g), true);
    }
    const clipping = bind('clip', { parts: address(normId, 0), norm_scale: normScale });
    encode(pass, clipping.fn, withScratch(clipping.slots), block++, updateSizes(0), true);
    for (const g of updated) {
      const { fn, slots } = bind(update.optimizer, { p: place(g, 0), g: place(g, 1), m: place(g, 2), v: place(g, 3), norm_scale: normScale });
      encode(pass, fn, slots, block++, updateSizes(g), true);
    }
  }
  /** Temporaries of the update functions lie in the stack, which is empty by then. */
  function withScratch(slots: readonly Address[]): Address[] {
    let end = 0;
    return slots.map((at) => {
      if (at >= 0) return at;
      end += 256;
      return address(BUFFERS.stack, end - 256);
    });
  }

  const readRange = async (at: Address, bytes: number): Promise<Float32Array> => {
    const size = Math.ceil(bytes / 4) * 4;
    const staging = device.createBuffer({ size, usage: USAGE.copyDst | USAGE.mapRead });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(USAGE.mapRead);
    const copy = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return copy;
  };

  const momentAddress = (param: number, kind: number): Address => {
    const at = storage.placement.params[param] ?? -1;
    return at + (kind === 0 ? 0 : address(bufferOf(at) + kind, 0) - address(bufferOf(at), 0));
  };

  return {
    program,
    storage,
    linker,
    memory,
    buffers: table,
    step,
    async forward(micro) {
      const variant = linker.link(new Map(), { forwardOnly: true });
      const full: MicroBatch = { ...micro, pattern: new Map(), forwardOnly: true };
      writeInputs(full, 0);
      variant.calls.forEach((call, i) => {
        writeBlock(i, micro.sizes, 0, program.functions[call.fn] as FunctionDecl, scalarsOf(call, micro.scalar));
      });
      device.queue.writeBuffer(uniforms, 0, blocks.buffer, 0, variant.calls.length * BLOCK);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      variant.calls.forEach((call, i) => encode(pass, call.fn, call.slots, i, micro.sizes));
      pass.end();
      device.queue.submit([encoder.finish()]);
      let offset = 0;
      const out: Float32Array[] = [];
      for (const r of program.results) {
        const extent = program.values[r]?.extent ?? { of: [], bytes: 0 };
        out.push(await readRange(address(BUFFERS.results, offset), extentBytes(extent, { ...bounds, ...micro.sizes })));
        offset += Math.ceil(extentBytes(extent, bounds) / 256) * 256;
      }
      return out;
    },
    writeParam(param, data) {
      const at = storage.placement.params[param] ?? -1;
      const whole = data.byteLength % 4 === 0 ? data : padded(data);
      device.queue.writeBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), whole.buffer as ArrayBuffer, whole.byteOffset, whole.byteLength);
    },
    readParam: (param, kind = 'params') => readRange(momentAddress(param, PAGE_KINDS.indexOf(kind)), program.params[param]?.bytes ?? 0),
    writeMoment(param, kind, moment) {
      const at = momentAddress(param, PAGE_KINDS.indexOf(kind));
      device.queue.writeBuffer(table[bufferOf(at)] as GPUBuffer, offsetOf(at), moment.buffer as ArrayBuffer, moment.byteOffset, moment.byteLength);
    },
    destroy() {
      for (const b of made) b.destroy();
    },
  };
}

function padded(data: ArrayBufferView): Uint8Array {
  const whole = new Uint8Array(Math.ceil(data.byteLength / 4) * 4);
  whole.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return whole;
}

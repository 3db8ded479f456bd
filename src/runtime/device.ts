/**
 * @file A device as the engine uses it: memory, kernels, recordings of what is to be run, and waiting. `webgpu/` implements it; nothing in it
 * is WebGPU's alone, so that another kind of device can.
 */

import type { EbbError } from '../errors.ts';
import type { DeviceProfile } from './deviceProfile.ts';
import type { Address } from './link/address.ts';

/** Memory on a device. */
export interface DeviceBuffer {
  readonly bytes: number;
  /** Frees it; work that was submitted before may still use it. */
  destroy(): void;
}

/**
 * What a buffer is for. `data`: kernels read and write it, and it is copied from and to. `blocks`: it holds the parameter blocks of
 * dispatches. `readback`: copies go into it, and reading it takes no submission.
 */
export type BufferUse = 'data' | 'blocks' | 'readback';

/** A buffer to be made; its bytes are a multiple of 4. */
export interface BufferRequest {
  /** What it holds, for messages. */
  readonly name: string;
  readonly bytes: number;
  readonly use: BufferUse;
}

/** Bytes of a parameter block, the first thing that every kernel is given: sizes of the run-time dimensions, then scalars. */
export const BLOCK_BYTES = 256;

/** A kernel's code in the language of its target, and what it is given besides its parameter block. */
export interface KernelModule {
  readonly name: string;
  readonly code: string;
  /** What it does with each range of memory that it is given. */
  readonly access: readonly ('read' | 'read_write')[];
  /** For each range: whether it lies elsewhere from dispatch to dispatch. */
  readonly moves: readonly boolean[];
}

/** A kernel that was compiled for the device. */
export interface Pipeline {
  readonly name: string;
}

/** The buffers that addresses point into (./link/address.ts: an address is an index into `buffers`, and an offset). */
export interface Memory {
  readonly buffers: readonly (DeviceBuffer | undefined)[];
  /** Parameter blocks, `BLOCK_BYTES` each. */
  readonly blocks: DeviceBuffer;
}

/** A pipeline over a memory, with the bytes of each range that it is given: made once, dispatched often. */
export interface Launch {
  readonly pipeline: Pipeline;
}

/** What is to be run, in order. Each command sees what those before it wrote. */
export interface Recording {
  /**
   * Runs a kernel in x × y × z workgroups.
   * @param block index of its parameter block
   * @param addresses where each of its ranges starts; the list is read at once and may be filled again
   */
  dispatch(launch: Launch, block: number, addresses: readonly Address[], x: number, y: number, z: number): void;
  /** Copies bytes; offsets and the count are multiples of 4. */
  copy(from: DeviceBuffer, fromOffset: number, to: DeviceBuffer, toOffset: number, bytes: number): void;
  /** Writes zeros; the offset and the count are multiples of 4. */
  clear(buffer: DeviceBuffer, offset: number, bytes: number): void;
}

/** When a dispatch ran: nanoseconds on the device's clock from the first dispatch of its timeline. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Measures the dispatches of recordings, each alone on the device. */
export interface Timeline {
  /** One span for each dispatch, in order. Waits for the device; to be called once. */
  read(): Promise<readonly Span[]>;
}

/** A device. Writes and submissions take effect in the order of the calls. */
export interface Device {
  readonly profile: DeviceProfile;
  /** Makes buffers, whose bytes are zero. @throws EbbError where there is not enough memory, with the bytes that were asked for */
  allocate(requests: readonly BufferRequest[]): Promise<readonly DeviceBuffer[]>;
  /** Copies `data` into a buffer, from byte `offset` on; the offset and the length are multiples of 4. */
  write(to: DeviceBuffer, offset: number, data: ArrayBufferView): void;
  /** Bytes of a buffer as they are after all that was submitted; the offset and the count are multiples of 4. Waits for the device. */
  read(from: DeviceBuffer, offset: number, bytes: number): Promise<ArrayBuffer>;
  /** Compiles a kernel. @throws EbbError with the kernel's name and the driver's words */
  pipeline(module: KernelModule): Promise<Pipeline>;
  /** A pipeline over a memory. @param bytes of each range that the kernel is given */
  launch(pipeline: Pipeline, memory: Memory, bytes: readonly number[]): Launch;
  /** A timeline for at most so many dispatches. @throws EbbError where the device cannot measure time */
  timeline(dispatches: number): Timeline;
  /** Begins a recording, whose dispatches are measured where a timeline is given. */
  record(timeline?: Timeline): Recording;
  /**
   * Hands a recording to the device, once, and does not wait for it.
   * @param work how much it is, in any unit that time is about proportional to; a device may use it to wait well
   */
  submit(recording: Recording, work?: number): void;
  /** Waits until everything that was written and submitted has taken effect. */
  done(): Promise<void>;
  /** Has `report` told of what goes wrong outside of any call: errors that the device was not asked for, and its loss unless it was destroyed. */
  onFailure(report: (error: EbbError) => void): void;
  /** Frees the device and everything on it. */
  destroy(): void;
}

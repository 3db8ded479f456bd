/** @file A stub of a device that is not WebGPU's: its memory is this process's, and kernels run where they are submitted. */

import { at, EbbError, invariant } from '../../errors.ts';
import { BLOCK_BYTES, type Device, type DeviceBuffer, type KernelModule, type Launch, type Memory, type Pipeline, type Recording } from '../device.ts';
import type { DeviceProfile } from '../deviceProfile.ts';
import { type Address, bufferOf, offsetOf } from '../link/address.ts';

/** Workgroups along x, y and z. */
export type Groups = readonly [number, number, number];
type Bytes = Uint8Array<ArrayBuffer>;

/** Runs a kernel: the words of its parameter block, the ranges of memory that it is given, and its workgroups. */
export type RunKernel = (block: Uint32Array, ranges: readonly Bytes[], groups: Groups) => void;

interface WatBuffer extends DeviceBuffer {
  readonly memory: Bytes;
}
interface WatPipeline extends Pipeline {
  readonly run: RunKernel;
}
interface WatLaunch extends Launch {
  readonly pipeline: WatPipeline;
  readonly memory: Memory;
  readonly bytes: readonly number[];
}
interface WatRecording extends Recording {
  readonly commands: readonly (() => void)[];
}

export const WAT_PROFILE: DeviceProfile = {
  name: 'this process',
  target: 'wat',
  kind: 'other',
  features: [],
  limits: {
    maxStorageBufferBindingSize: 2 ** 30,
    maxBufferSize: 2 ** 30,
    maxStorageBuffersPerShaderStage: 8,
    maxDynamicStorageBuffersPerPipelineLayout: 8,
    maxComputeWorkgroupStorageSize: 2 ** 14,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
  },
  subgroups: null,
  matrices: null,
};

const memoryOf = (buffer: DeviceBuffer): Bytes => (buffer as WatBuffer).memory;

function rangeAt({ pipeline, memory }: WatLaunch, address: Address, bytes: number): Bytes {
  const buffer = memory.buffers[bufferOf(address)];
  invariant(buffer !== undefined, `a range of kernel ${pipeline.name} lies in no buffer`);
  return memoryOf(buffer).subarray(offsetOf(address), offsetOf(address) + bytes);
}

function makeRecording(): WatRecording {
  const commands: (() => void)[] = [];
  return {
    commands,
    dispatch(launch, block, addresses, x, y, z) {
      const own = launch as WatLaunch;
      const words = new Uint32Array(memoryOf(own.memory.blocks).buffer, block * BLOCK_BYTES, BLOCK_BYTES / 4);
      const ranges = own.bytes.map((bytes, i) => rangeAt(own, at(addresses, i), bytes));
      commands.push(() => own.pipeline.run(words, ranges, [x, y, z]));
    },
    copy: (from, fromOffset, to, toOffset, bytes) =>
      void commands.push(() => memoryOf(to).set(memoryOf(from).subarray(fromOffset, fromOffset + bytes), toOffset)),
    clear: (buffer, offset, bytes) => void commands.push(() => memoryOf(buffer).fill(0, offset, offset + bytes)),
  };
}

/** The device. @param kernel makes a module run */
export function watDevice(kernel: (module: KernelModule) => RunKernel): Device {
  return {
    profile: WAT_PROFILE,
    allocate: async (requests) => requests.map(({ bytes }): WatBuffer => ({ bytes, memory: new Uint8Array(bytes), destroy: () => {} })),
    write: (to, offset, { buffer, byteOffset, byteLength }) => memoryOf(to).set(new Uint8Array(buffer, byteOffset, byteLength), offset),
    read: async (from, offset, bytes) => memoryOf(from).slice(offset, offset + bytes).buffer,
    pipeline: async (module): Promise<WatPipeline> => ({ name: module.name, run: kernel(module) }),
    launch: (pipeline, memory, bytes): WatLaunch => ({ pipeline: pipeline as WatPipeline, memory, bytes }),
    timeline() {
      throw new EbbError(`${WAT_PROFILE.name} measures no time`);
    },
    record: makeRecording,
    submit(recording) {
      for (const command of (recording as WatRecording).commands) command();
    },
    done: async () => {},
    onFailure: () => {},
    destroy: () => {},
  };
}

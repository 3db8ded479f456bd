/** @file A device whose buffers are bytes of this process: it copies, and runs no kernel. It knows what is still staged. */

import type { Device, DeviceBuffer, Recording } from '../../src/runtime/device.ts';
import { type DeviceProfile, WEBGPU_TARGET } from '../../src/runtime/deviceProfile.ts';

export interface FakeDevice {
  readonly device: Device;
  /** A buffer of so many bytes, each 0xaa. */
  readonly buffer: (bytes: number) => DeviceBuffer;
  readonly bytesOf: (buffer: DeviceBuffer) => Uint8Array;
  /** Bytes that were written and that nobody waited for. */
  readonly staged: () => number;
}

/** WebGPU's default limits, and nothing that a device may lack. */
const PROFILE: DeviceProfile = {
  name: 'a fake',
  target: WEBGPU_TARGET,
  kind: 'other',
  features: [],
  limits: {
    maxStorageBufferBindingSize: 2 ** 27,
    maxBufferSize: 2 ** 28,
    maxStorageBuffersPerShaderStage: 8,
    maxDynamicStorageBuffersPerPipelineLayout: 4,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
  },
  subgroups: null,
  matrices: null,
};

/** @throws Error where a device would refuse a write or a copy */
export function fakeDevice(): FakeDevice {
  const contents = new Map<DeviceBuffer, Uint8Array<ArrayBuffer>>();
  let staged = 0;
  const bytesOf = (buffer: DeviceBuffer): Uint8Array<ArrayBuffer> => {
    const found = contents.get(buffer);
    if (!found) throw new Error('no buffer of this device');
    return found;
  };
  const make = (bytes: number, fill: number): DeviceBuffer => {
    const buffer: DeviceBuffer = { bytes, destroy: () => void contents.delete(buffer) };
    contents.set(buffer, new Uint8Array(bytes).fill(fill));
    return buffer;
  };
  const whole = (...numbers: number[]): void => {
    if (numbers.some((n) => n % 4 !== 0)) throw new Error(`not whole words: ${numbers}`);
  };
  const commands = new Map<Recording, (() => void)[]>();
  const noKernels = (): never => {
    throw new Error('this device runs no kernel');
  };
  const device: Device = {
    profile: PROFILE,
    allocate: async (requests) => requests.map(({ bytes }) => make(bytes, 0)),
    write(to, offset, { buffer, byteOffset, byteLength }) {
      whole(offset, byteLength);
      if (offset + byteLength > to.bytes) throw new Error('a write ends behind the buffer');
      bytesOf(to).set(new Uint8Array(buffer, byteOffset, byteLength), offset);
      staged += byteLength;
    },
    async read(from, offset, bytes) {
      whole(offset, bytes);
      return bytesOf(from).slice(offset, offset + bytes).buffer;
    },
    pipeline: noKernels,
    launch: noKernels,
    timeline: noKernels,
    record() {
      const list: (() => void)[] = [];
      const recording: Recording = {
        dispatch: noKernels,
        copy(from, fromOffset, to, toOffset, bytes) {
          whole(fromOffset, toOffset, bytes);
          list.push(() => bytesOf(to).set(bytesOf(from).subarray(fromOffset, fromOffset + bytes), toOffset));
        },
        clear(buffer, offset, bytes) {
          whole(offset, bytes);
          list.push(() => void bytesOf(buffer).fill(0, offset, offset + bytes));
        },
      };
      commands.set(recording, list);
      return recording;
    },
    submit(recording) {
      for (const command of commands.get(recording) ?? noKernels()) command();
      commands.delete(recording);
    },
    async done() {
      staged = 0;
    },
    onFailure: () => {},
    destroy: () => contents.clear(),
  };
  return { device, buffer: (bytes) => make(bytes, 0xaa), bytesOf, staged: () => staged };
}

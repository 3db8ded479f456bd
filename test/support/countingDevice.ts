/** @file A device that counts what is asked of it: objects created, and for every dispatch the byte ranges it binds and whether it may write them. */

import type { Device, DeviceBuffer } from '../../src/runtime/device.ts';
import type { WebgpuBuffer } from '../../src/runtime/webgpu/buffers.ts';
import { openBetween } from './webgpuDevice.ts';

export interface BoundRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly writable: boolean;
}
export interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly ranges: readonly BoundRange[];
}

export interface Counts {
  readonly created: Record<string, number>;
  /** Dispatches since `clear`, in order. */
  dispatches: Dispatch[];
  submissions: number;
  /** Of all buffers made. */
  allocatedBytes: number;
  clear(): void;
}

interface Entry {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
  readonly writable: boolean;
  readonly dynamic: boolean;
  readonly storage: boolean;
}

const bound = <T extends object>(target: T, overrides: Record<string, unknown>): T =>
  new Proxy(target, {
    get(object, key) {
      if (typeof key === 'string' && key in overrides) return overrides[key];
      const value = Reflect.get(object, key, object) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(object) : value;
    },
  });

/** Wraps `device`; the wrapped one behaves the same. */
function countingDevice(device: GPUDevice): { gpu: GPUDevice; counts: Counts } {
  const created: Record<string, number> = {};
  const counts: Counts = {
    created,
    dispatches: [],
    submissions: 0,
    allocatedBytes: 0,
    clear() {
      counts.dispatches = [];
      counts.submissions = 0;
      for (const key of Object.keys(created)) delete created[key];
    },
  };
  const count = (name: string): void => void (created[name] = (created[name] ?? 0) + 1);
  const layouts = new Map<GPUBindGroupLayout, GPUBindGroupLayoutDescriptor>();
  const groups = new Map<GPUBindGroup, Entry[]>();
  const wrapPass = (pass: GPUComputePassEncoder): GPUComputePassEncoder => {
    let pipeline: GPUComputePipeline;
    let ranges: BoundRange[] = [];
    return bound(pass, {
      setPipeline: (p: GPUComputePipeline) => {
        pipeline = p;
        pass.setPipeline(p);
      },
      setBindGroup: (index: number, group: GPUBindGroup, offsets: Uint32Array, start: number, length: number) => {
        let next = start;
        ranges = (groups.get(group) ?? []).flatMap((e) => {
          const offset = e.offset + (e.dynamic ? (offsets[next++] ?? 0) : 0);
          return e.storage ? [{ buffer: e.buffer, offset, size: e.size, writable: e.writable }] : [];
        });
        pass.setBindGroup(index, group, offsets, start, length);
      },
      dispatchWorkgroups: (...args: [number, number, number]) => {
        counts.dispatches.push({ pipeline, ranges });
        pass.dispatchWorkgroups(...args);
      },
    });
  };
  const queue = bound(device.queue, {
    submit: (buffers: GPUCommandBuffer[]) => {
      counts.submissions++;
      device.queue.submit(buffers);
    },
  });
  const names = ['createShaderModule', 'createComputePipeline', 'createComputePipelineAsync', 'createPipelineLayout', 'createTexture'] as const;
  const plain = Object.fromEntries(
    names.map((name) => [
      name,
      (...args: unknown[]) => {
        count(name);
        return (device[name] as (...a: unknown[]) => unknown).call(device, ...args);
      },
    ]),
  );
  const wrapped = bound(device, {
    ...plain,
    queue,
    createBuffer: (descriptor: GPUBufferDescriptor) => {
      count('createBuffer');
      counts.allocatedBytes += descriptor.size;
      return device.createBuffer(descriptor);
    },
    createBindGroupLayout: (descriptor: GPUBindGroupLayoutDescriptor) => {
      count('createBindGroupLayout');
      const layout = device.createBindGroupLayout(descriptor);
      layouts.set(layout, descriptor);
      return layout;
    },
    createBindGroup: (descriptor: GPUBindGroupDescriptor) => {
      count('createBindGroup');
      const group = device.createBindGroup(descriptor);
      const entries = [...(layouts.get(descriptor.layout)?.entries ?? [])];
      groups.set(
        group,
        [...descriptor.entries].map((e, i): Entry => {
          const { buffer, offset = 0, size = 0 } = e.resource as GPUBufferBinding;
          const type = entries[i]?.buffer;
          return { buffer, offset, size, writable: type?.type === 'storage', dynamic: type?.hasDynamicOffset ?? false, storage: type?.type !== 'uniform' };
        }),
      );
      return group;
    },
    createCommandEncoder: (descriptor?: GPUCommandEncoderDescriptor) => {
      const encoder = device.createCommandEncoder(descriptor);
      return bound(encoder, { beginComputePass: (d?: GPUComputePassDescriptor) => wrapPass(encoder.beginComputePass(d)) });
    },
  });
  return { gpu: wrapped, counts };
}

/** Opens the device of the tests so that it is counted what reaches WebGPU. */
export async function openCounting(): Promise<{ device: Device; counts: Counts }> {
  let counts: Counts | undefined;
  const device = await openBetween((gpu) => {
    const counting = countingDevice(gpu);
    counts = counting.counts;
    return counting.gpu;
  });
  return { device, counts: counts! };
}

/** WebGPU's buffer behind one of a device. */
export const gpuBuffer = (buffer: DeviceBuffer): GPUBuffer => (buffer as WebgpuBuffer).gpu;

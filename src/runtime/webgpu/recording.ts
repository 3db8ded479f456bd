/** @file A recording on a WebGPU device: dispatches in one compute pass, or each in a pass of its own where they are measured. */

import type { DeviceBuffer, Launch, Recording } from '../device.ts';
import type { WebgpuBuffer } from './buffers.ts';
import { bindGroup, type WebgpuLaunch } from './launches.ts';
import type { WebgpuTimeline } from './timeline.ts';

export interface WebgpuRecording extends Recording {
  /** `readback` buffers that it copies into. */
  readonly readbacks: readonly WebgpuBuffer[];
  /** Ends it; nothing is recorded after that. */
  finish(): GPUCommandBuffer;
}

/** What every dispatch fills anew: the offsets that are given with it, as many as the pipeline with the most takes. */
export interface Scratch {
  offsets: Uint32Array;
}

/** Begins a recording. */
export function makeRecording(gpu: GPUDevice, timeline: WebgpuTimeline | undefined, scratch: Scratch): WebgpuRecording {
  const encoder = gpu.createCommandEncoder();
  const readbacks: WebgpuBuffer[] = [];
  let pass: GPUComputePassEncoder | null = null;
  const endPass = (): void => {
    pass?.end();
    pass = null;
  };
  return {
    readbacks,
    dispatch(launch: Launch, block, addresses, x, y, z) {
      const own = launch as WebgpuLaunch;
      const { offsets } = scratch;
      const group = bindGroup(gpu, own, block, addresses, offsets);
      if (timeline) {
        endPass();
        pass = encoder.beginComputePass({ timestampWrites: timeline.next() });
      }
      pass ??= encoder.beginComputePass();
      pass.setPipeline(own.pipeline.gpu);
      pass.setBindGroup(0, group, offsets, 0, own.pipeline.offsets);
      pass.dispatchWorkgroups(x, y, z);
    },
    copy(from: DeviceBuffer, fromOffset, to: DeviceBuffer, toOffset, bytes) {
      endPass();
      const target = to as WebgpuBuffer;
      encoder.copyBufferToBuffer((from as WebgpuBuffer).gpu, fromOffset, target.gpu, toOffset, bytes);
      if (target.use === 'readback' && !readbacks.includes(target)) readbacks.push(target);
    },
    clear(buffer: DeviceBuffer, offset, bytes) {
      endPass();
      encoder.clearBuffer((buffer as WebgpuBuffer).gpu, offset, bytes);
    },
    finish() {
      endPass();
      timeline?.resolve(encoder);
      return encoder.finish();
    },
  };
}

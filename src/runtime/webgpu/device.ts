/** @file Ebb's device over WebGPU's. */

import type { Device } from '../device.ts';
import type { DeviceProfile } from '../deviceProfile.ts';
import { adapterProfile } from './adapterProfile.ts';
import { allocate, makeBuffer, readMapped, type WebgpuBuffer } from './buffers.ts';
import { makeLaunch } from './launches.ts';
import type { WebgpuAdapter, WebgpuObject } from './objects.ts';
import { createPatience, type Patience } from './patience.ts';
import { makePipeline, type WebgpuPipeline } from './pipelines.ts';
import { makeRecording, type Scratch, type WebgpuRecording } from './recording.ts';
import { requestGpu } from './request.ts';
import { makeTimeline, type WebgpuTimeline } from './timeline.ts';
import { watchDevice } from './watch.ts';

/** Opens the device of an adapter, with all of the adapter's limits and every feature that Ebb has a use for. */
export async function openAdapter(adapter: WebgpuAdapter): Promise<Device> {
  const own = adapter as GPUAdapter;
  const profile = adapterProfile(own);
  return webgpuDevice(await requestGpu(own, profile), profile);
}

/** Ebb's device over one of WebGPU's, which has what `profile` says. The objects that its calls take must be its own. */
export function webgpuDevice(device: WebgpuObject, profile: DeviceProfile, patience: Patience = createPatience()): Device {
  const gpu = device as GPUDevice;
  /** Work of the submissions since the last one that somebody can wait for. */
  let unwaited = 0;
  const scratch: Scratch = { offsets: new Uint32Array(1) };

  const submit = ({ readbacks, finish }: WebgpuRecording, work: number): void => {
    gpu.queue.submit([finish()]);
    unwaited += work;
    if (readbacks.length === 0) return;
    const ticket = patience.submitted(unwaited);
    for (const buffer of readbacks) buffer.ticket = ticket;
    unwaited = 0;
  };

  return {
    profile,
    allocate: (requests) => allocate(gpu, requests),
    write: (to, offset, data) => gpu.queue.writeBuffer((to as WebgpuBuffer).gpu, offset, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
    async read(from, offset, bytes) {
      const source = from as WebgpuBuffer;
      if (source.use === 'readback') return readMapped(source, offset, bytes);
      const staging = makeBuffer(gpu, { name: 'staging', bytes, use: 'readback' });
      try {
        const recording = makeRecording(gpu, undefined, scratch);
        recording.copy(from, offset, staging, 0, bytes);
        submit(recording, 0);
        return await readMapped(staging, 0, bytes);
      } finally {
        staging.destroy();
      }
    },
    pipeline: (module) => makePipeline(gpu, module),
    launch(pipeline, memory, bytes) {
      const own = pipeline as WebgpuPipeline;
      if (own.offsets > scratch.offsets.length) scratch.offsets = new Uint32Array(own.offsets);
      return makeLaunch(own, memory, bytes);
    },
    timeline: (dispatches) => makeTimeline(gpu, dispatches),
    record: (timeline) => makeRecording(gpu, timeline as WebgpuTimeline | undefined, scratch),
    submit: (recording, work = 0) => submit(recording as WebgpuRecording, work),
    async done() {
      // writes wait for a submission
      gpu.queue.submit([]);
      await gpu.queue.onSubmittedWorkDone();
    },
    onFailure: (report) => watchDevice(gpu, report),
    destroy: () => gpu.destroy(),
  };
}

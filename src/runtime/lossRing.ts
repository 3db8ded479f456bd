/** @file The ring of small buffers through which the losses and gradient norms of steps come back while later steps are under way. */

import { at, invariant } from '../errors.ts';
import type { Device, DeviceBuffer } from './device.ts';

/** A step's place in the ring. */
export interface RingPlace {
  readonly buffer: DeviceBuffer;
  /** Waits for the device, and returns the bytes that the step copied into the buffer. */
  read(bytes: number): Promise<ArrayBuffer>;
}

export interface LossRing {
  /** The place of the next step; what the step as many places before left there is gone. */
  next(): RingPlace;
}

/** A ring of `readback` buffers. */
export function createLossRing(device: Device, buffers: readonly DeviceBuffer[]): LossRing {
  let steps = 0;
  const reading = new Set<DeviceBuffer>();
  return {
    next() {
      const step = steps++;
      const buffer = at(buffers, step % buffers.length);
      invariant(!reading.has(buffer), 'more steps are unread than the ring holds');
      return {
        buffer,
        async read(bytes) {
          invariant(steps - step <= buffers.length, `step ${step} is read after ${steps} steps, the ring holds ${buffers.length}`);
          reading.add(buffer);
          try {
            return await device.read(buffer, 0, bytes);
          } finally {
            reading.delete(buffer);
          }
        },
      };
    },
  };
}

/** @file When dispatches ran, by timestamps on both sides of each: a measured dispatch has a pass of its own. */

import { at, EbbError, invariant, option } from '../../errors.ts';
import type { Span, Timeline } from '../device.ts';
import { makeBuffer, readMapped } from './buffers.ts';

export interface WebgpuTimeline extends Timeline {
  /** Timestamps of the next dispatch. */
  next(): GPUComputePassTimestampWrites;
  /** Encodes the copies that are read from, behind all measured passes. */
  resolve(encoder: GPUCommandEncoder): void;
}

/** Queries that a set may hold: WebGPU's limit. */
const PER_SET = 4096;
const BYTES = 8;

/** @throws EbbError where the device has no timestamps */
export function makeTimeline(gpu: GPUDevice, dispatches: number): WebgpuTimeline {
  if (!gpu.features.has('timestamp-query'))
    throw new EbbError(
      `this device measures no time, since it lacks timestamp-query; choose another with ${option('device')}, or leave ${option('profile')} out`,
      'device',
    );
  const sets = Array.from({ length: Math.ceil((2 * dispatches) / PER_SET) }, (_, i) => {
    const count = Math.min(PER_SET, 2 * dispatches - i * PER_SET);
    const bytes = count * BYTES;
    return {
      count,
      set: gpu.createQuerySet({ type: 'timestamp', count }),
      resolved: makeBuffer(gpu, { name: 'timestamps', bytes, use: 'timestamps' }),
      readback: makeBuffer(gpu, { name: 'timestamps', bytes, use: 'readback' }),
    };
  });
  let measured = 0;
  return {
    next() {
      const first = 2 * measured++;
      const home = sets[Math.floor(first / PER_SET)];
      invariant(home, `a timeline for ${dispatches} dispatches was given more`);
      return { querySet: home.set, beginningOfPassWriteIndex: first % PER_SET, endOfPassWriteIndex: (first % PER_SET) + 1 };
    },
    resolve(encoder) {
      sets.forEach(({ set, count, resolved, readback }, i) => {
        const used = Math.min(count, 2 * measured - i * PER_SET);
        if (used <= 0) return;
        encoder.resolveQuerySet(set, 0, used, resolved.gpu, 0);
        encoder.copyBufferToBuffer(resolved.gpu, 0, readback.gpu, 0, used * BYTES);
      });
    },
    async read() {
      const stamps: bigint[] = [];
      for (const { set, count, resolved, readback } of sets) {
        stamps.push(...new BigUint64Array(await readMapped(readback, 0, count * BYTES)));
        set.destroy();
        resolved.destroy();
        readback.destroy();
      }
      const nanoseconds = (i: number): number => Number(at(stamps, i) - at(stamps, 0));
      return Array.from({ length: measured }, (_, i): Span => ({ start: nanoseconds(2 * i), end: nanoseconds(2 * i + 1) }));
    },
  };
}

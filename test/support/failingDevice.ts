/** @file A device that can be lost, or out of memory, when a test says so. */

import type { EbbError } from '../../src/errors.ts';
import type { OpenedDevice } from '../../src/node/adapter.ts';
import { openBetween } from './webgpuDevice.ts';

export interface Failures {
  /** The device is lost: what is submitted fails, and `lost` resolves a little later. */
  lose(message: string): void;
  /** The next error scope holds an error. */
  outOfMemory: boolean;
}

/** WebGPU's device, but that it fails on demand. */
function failing(gpu: GPUDevice, failures: Partial<Failures>): GPUDevice {
  let gone = false;
  const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
    failures.lose = (message) => {
      gone = true;
      setTimeout(() => resolve({ reason: 'unknown', message } as GPUDeviceLostInfo), 20);
    };
  });
  const method = <T extends object>(target: T, key: string | symbol): unknown => {
    const value = Reflect.get(target, key, target) as unknown;
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
  };
  const queue = new Proxy(gpu.queue, {
    get: (target, key) =>
      key === 'submit' && gone
        ? () => {
            throw new DOMException('the device is gone', 'AbortError');
          }
        : method(target, key),
  });
  return new Proxy(gpu, {
    get(target, key) {
      if (key === 'queue') return queue;
      if (key === 'lost') return lost;
      if (key === 'popErrorScope' && failures.outOfMemory)
        return async () => {
          await gpu.popErrorScope();
          return { message: 'no memory' };
        };
      return method(target, key);
    },
  });
}

/** Opens the device of the tests so that it fails on demand; errors are reported as those of a real one. */
export async function openFailing(failures: Partial<Failures>, onError: (error: EbbError) => void): Promise<OpenedDevice> {
  const device = await openBetween((gpu) => failing(gpu, failures));
  device.onFailure(onError);
  return { device, why: 'a test', close: () => device.destroy() };
}

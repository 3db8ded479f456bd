/** @file What goes wrong on a WebGPU device outside of any call. */

import { EbbError } from '../../errors.ts';

/** Reports errors that the device was not asked for, and its loss unless it was destroyed. */
export function watchDevice(device: GPUDevice, report: (error: EbbError) => void): void {
  device.addEventListener('uncapturederror', (event) => report(new EbbError(`the device reports an error: ${event.error.message}`, 'device')));
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed')
      report(
        new EbbError(
          `the device was lost (${reason || 'unknown reason'}): ${message}; resume from the last checkpoint, with a smaller batch or length if it happens again`,
          'device',
        ),
      );
  });
}

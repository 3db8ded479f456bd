/**
 * @file The place between a step's backward and its update, where gradients may be looked at and changed: scaled, added up over processes, checked.
 * An engine without an exchange has no such place, and no cost for it.
 */

import { EbbError } from '../errors.ts';
import type { Device, DeviceBuffer } from './device.ts';
import { gradientRange, type ParamMemory } from './lasting.ts';

/** The place of the gradient of a trained parameter, and whether this step computed it. */
export interface GradientRange {
  /** Index among the program's parameters. */
  readonly param: number;
  readonly name: string;
  readonly buffer: DeviceBuffer;
  /** The place in the buffer, in bytes. The gradient is f32, row by row, and has the parameter's shape. */
  readonly offset: number;
  readonly bytes: number;
  /** Whether the step computed the gradient. Where it dropped all units that use the parameter, the bytes are of an earlier step, and the parameter is not updated. */
  readonly present: boolean;
}

/** The gradients of a step, all micro-batches added up. */
export interface StepGradients {
  /** The device. Work that is submitted to it runs before the update. */
  readonly device: Device;
  /** One for each trained parameter, in the program's order. */
  readonly ranges: readonly GradientRange[];
  /** Waits for the device, and returns a gradient as it is now. @throws EbbError for a parameter that has none */
  read(param: number): Promise<Float32Array>;
  /** Replaces a gradient. A parameter that had none is then updated. @throws EbbError for another number of elements */
  write(param: number, gradient: Float32Array): void;
}

/** A function that is called with the gradients of every step that updates, before the update. The update waits for the promise that it returns. */
export type Exchange = (gradients: StepGradients) => void | Promise<void>;

/** The gradients of a step. @param written parameters that have one; those that are written are added */
export function stepGradients(device: Device, memory: ParamMemory, written: Set<number>): StepGradients {
  const ranges = memory.params.flatMap(({ name }, param): GradientRange[] => {
    const range = gradientRange(memory, param);
    return range ? [{ param, name, ...range, present: written.has(param) }] : [];
  });
  const rangeOf = (param: number): GradientRange => {
    const range = ranges.find((r) => r.param === param);
    if (!range) throw new EbbError(`parameter ${memory.params[param]?.name ?? param} is not trained and has no gradient`);
    return range;
  };
  return {
    device,
    ranges,
    async read(param) {
      const { name, buffer, offset, bytes } = rangeOf(param);
      if (!written.has(param)) throw new EbbError(`parameter ${name} got no gradient in this step`);
      return new Float32Array(await device.read(buffer, offset, bytes));
    },
    write(param, gradient) {
      const { name, buffer, offset, bytes } = rangeOf(param);
      if (gradient.byteLength !== bytes) throw new EbbError(`the gradient of ${name} was given ${gradient.length} elements, it has ${bytes / 4}`);
      device.write(buffer, offset, gradient);
      written.add(param);
    },
  };
}

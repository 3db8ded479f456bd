/**
 * @file The place between a step's backward and its update, where gradients may be looked at and changed: scaled, added up over processes, checked.
 * An engine without an exchange has no such place, and no cost for it.
 */

import { EbbError } from '../errors.ts';
import type { Device, DeviceBuffer } from './device.ts';
import { gradientRange, type ParamMemory } from './lasting.ts';

/** Where the gradient of a trained parameter lies, and whether this step has one. */
export interface GradientRange {
  /** Index among the program's parameters. */
  readonly param: number;
  readonly name: string;
  readonly buffer: DeviceBuffer;
  /** In bytes: f32, row-major, of the parameter's shape. */
  readonly offset: number;
  readonly bytes: number;
  /** False where no unit that uses it was kept: what lies there is of an earlier step, and the parameter is not updated. */
  readonly present: boolean;
}

/** The gradients of a step, all micro-batches added up. */
export interface StepGradients {
  /** For work on the device itself: what is submitted runs before the update. */
  readonly device: Device;
  /** One for each trained parameter, in the program's order. */
  readonly ranges: readonly GradientRange[];
  /** A gradient as it is now. Waits for the device. @throws EbbError for a parameter that has none */
  read(param: number): Promise<Float32Array>;
  /** Puts a gradient in the place of what was there; a parameter that had none is updated then. @throws EbbError for another number of elements */
  write(param: number, gradient: Float32Array): void;
}

/** Told of the gradients of every step that updates, before it does. The update waits for what it returns. */
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

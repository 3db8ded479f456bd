/** @file Whether a device takes a program: what the engine refuses before it makes anything, and what `plan` asks without a device. One check for both. */

import { EbbError } from '../errors.ts';
import type { BufferBytes } from './bufferBytes.ts';
import type { DeviceProfile } from './deviceProfile.ts';
import { gridOf } from './encode.ts';
import { extentBytes, type FunctionDecl, type Program, type Sizes } from './program.ts';

const SMALLER = 'choose a smaller batch or length';

/** @throws EbbError where kernels are in another language than the device takes, use a feature that it lacks, or bind more buffers than it allows */
function checkPipelines({ target, pipelines }: Program, { name, target: taken, features, limits }: DeviceProfile): void {
  if (target !== taken) throw new EbbError(`the model was compiled to ${target}, and this device, ${name}, takes ${taken}; compile the model for this device`);
  const most = limits.maxStorageBuffersPerShaderStage;
  for (const pipeline of pipelines) {
    const lacking = pipeline.features.find((feature) => !features.includes(feature));
    if (lacking !== undefined)
      throw new EbbError(`kernel ${pipeline.name} uses ${lacking}, which this device, ${name}, lacks; compile the model for this device`);
    if (pipeline.access.length > most)
      throw new EbbError(
        `kernel ${pipeline.name} binds ${pipeline.access.length} buffers, this device, ${name}, allows ${most} (maxStorageBuffersPerShaderStage); compile the model for this device`,
      );
  }
}

/** @throws EbbError for buffers that are larger than the device makes */
function checkBuffers(planned: BufferBytes, { limits: { maxBufferSize } }: DeviceProfile): void {
  for (const [kind, pages] of Object.entries(planned)) {
    const large = pages.find((bytes) => bytes > maxBufferSize);
    if (large !== undefined) throw new EbbError(`${kind} needs a buffer of ${large} bytes, this device allows ${maxBufferSize} (maxBufferSize); ${SMALLER}`);
  }
}

/** @throws EbbError for ranges that are larger than the device binds at once */
function checkBindings(fn: FunctionDecl, { partBytes }: Program, bounds: Sizes, { limits: { maxStorageBufferBindingSize: most } }: DeviceProfile): void {
  for (const { slots } of fn.dispatches)
    for (const slot of slots) {
      const decl = fn.slots[slot];
      const bytes = decl ? Math.min(partBytes, extentBytes(decl.extent, bounds)) : 0;
      if (bytes > most)
        throw new EbbError(
          `@${fn.name} binds ${bytes} bytes of ${decl?.name} at once, this device allows ${most} (maxStorageBufferBindingSize); compile the model for this device`,
        );
    }
}

/** @throws EbbError for dispatches of more workgroups than the device counts */
function checkGrids(fn: FunctionDecl, bounds: Sizes, { limits: { maxComputeWorkgroupsPerDimension: most } }: DeviceProfile): void {
  for (const { grid } of fn.dispatches) {
    const groups = gridOf(grid, (dim) => bounds[dim] ?? Number.NaN, most);
    if (groups.some((count) => count > most))
      throw new EbbError(
        `@${fn.name} takes ${groups.join(' × ')} workgroups, this device allows ${most} along each axis (maxComputeWorkgroupsPerDimension); ${SMALLER}`,
      );
  }
}

/**
 * Whether a device takes a program at the bounds of its dimensions.
 * @param planned bytes of every buffer that the engine makes
 * @throws EbbError with what the device lacks
 */
export function checkFit(program: Program, planned: BufferBytes, profile: DeviceProfile): void {
  const bounds: Sizes = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  checkPipelines(program, profile);
  checkBuffers(planned, profile);
  // Update functions run on as many rows as a binding holds, whatever their bounds say.
  const updates = new Set(Object.values(program.updates));
  for (const [i, fn] of program.functions.entries()) {
    if (updates.has(i)) continue;
    checkBindings(fn, program, bounds, profile);
    checkGrids(fn, bounds, profile);
  }
}

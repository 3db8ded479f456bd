/** @file Runs a kernel on the interpreter, after checking it, the way runKernel runs it on a device. */

import { checkKernel } from '../../src/codegen/kernel/check/kernel.ts';
import { DEFAULT_LIMITS } from '../../src/codegen/kernel/check/limits.ts';
import { interpret } from '../../src/codegen/kernel/interpret/kernel.ts';
import type { Kernel } from '../../src/codegen/kernel/ir.ts';
import type { Data, KernelRun } from './runKernel.ts';

/** The contents of the kernel's writable buffers; the inputs are not changed. */
export function interpretRun(kernel: Kernel, run: KernelRun, subgroupSize = 4, reverse = false): Record<string, Data> {
  // rotated gradients where keys have segments of their own bind 9 buffers, which no model does; every other kernel keeps to WebGPU's 8
  checkKernel(kernel, { ...DEFAULT_LIMITS, maxStorageBuffers: 9 });
  const buffers = Object.fromEntries(Object.entries(run.buffers).map(([name, data]) => [name, data.slice()]));
  interpret(kernel, { ...run, buffers, subgroupSize, reverse });
  return Object.fromEntries(kernel.buffers.filter(({ access }) => access === 'read_write').map(({ name }) => [name, buffers[name] as Data]));
}

/** @file Compiles kernels of WGSL; offsets of ranges that move are given at dispatch, as far as the device has room for such offsets. */

import { EbbError } from '../../errors.ts';
import type { KernelModule, Pipeline } from '../device.ts';

export interface WebgpuPipeline extends Pipeline {
  readonly gpu: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** For each range: whether its offset is given at dispatch. */
  readonly dynamic: readonly boolean[];
  /** Offsets that are given at dispatch, the parameter block's included. */
  readonly offsets: number;
}

const COMPUTE_STAGE = 0x4;

/** @throws EbbError with the kernel's name and the driver's words */
export async function makePipeline(gpu: GPUDevice, { name, code, access, moves }: KernelModule): Promise<WebgpuPipeline> {
  let left = gpu.limits.maxDynamicStorageBuffersPerPipelineLayout;
  const dynamic = moves.map((moving) => moving && left-- > 0);
  const layout = gpu.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: COMPUTE_STAGE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ...access.map(
        (mode, i): GPUBindGroupLayoutEntry => ({
          binding: i + 1,
          visibility: COMPUTE_STAGE,
          buffer: { type: mode === 'read' ? 'read-only-storage' : 'storage', hasDynamicOffset: dynamic[i] ?? false },
        }),
      ),
    ],
  });
  const module = gpu.createShaderModule({ label: name, code });
  try {
    const pipeline = await gpu.createComputePipelineAsync({
      label: name,
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    return { name, gpu: pipeline, layout, dynamic, offsets: 1 + dynamic.filter(Boolean).length };
  } catch (error) {
    const info = await module.getCompilationInfo().catch(() => null);
    const lines = code.split('\n');
    const detail = info?.messages.map((m) => `${m.lineNum}: ${m.message} | ${lines[m.lineNum - 1]?.trim() ?? ''}`).join('; ');
    throw new EbbError(`kernel ${name} does not compile on this device: ${detail || (error instanceof Error ? error.message : String(error))}`, 'device');
  }
}

/** @file Pipelines: created once, those that steps can ask for. */

import { EbbError } from '../../errors.ts';
import type { PipelineDecl, Program } from '../program.ts';

export interface Pipeline {
  readonly decl: PipelineDecl;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** For each storage binding: whether its offset is given at dispatch. */
  readonly dynamic: readonly boolean[];
}

/** Compiles the needed pipelines side by side. @throws EbbError with the shader's name and the driver's words. */
export async function createPipelines(device: GPUDevice, decls: readonly PipelineDecl[], needed?: ReadonlySet<number>): Promise<(Pipeline | null)[]> {
  return Promise.all(decls.map((decl, i) => (needed === undefined || needed.has(i) ? createPipeline(device, decl) : null)));
}

/**
 * Pipelines that steps of up to `micros` micro-batches can ask for. Those that add to gradients are asked for where a gradient was
 * written before: by another micro-batch, or by a later call that uses the same parameter.
 */
export function neededPipelines(program: Program, micros: number, probes: boolean): Set<number> {
  const uses = program.calls.flatMap((call, i) => call.arguments.flatMap((a) => (a.kind === 'param' ? [{ ...a, call: i }] : [])));
  const byParam = new Map<number, typeof uses>();
  for (const use of uses) byParam.set(use.param, [...(byParam.get(use.param) ?? []), use]);
  const usedLater = (param: number, offset: number | undefined, call: number): boolean =>
    (byParam.get(param) ?? []).some((u) => u.call > call && (offset === undefined || u.offset === undefined || u.offset === offset));
  const adding = new Set<number>();
  program.calls.forEach((call, i) => {
    for (const { function: fn, gradientOf } of call.backwards)
      if (
        micros > 1 ||
        gradientOf.some((k) => {
          const a = call.arguments[k];
          return a?.kind === 'param' && usedLater(a.param, a.offset, i);
        })
      )
        adding.add(fn);
  });
  // probes alone copy and subtract; zeros stand in where a backward serves patterns that differ in what arrives
  const grouped = program.calls.some((call) => call.grouped === true);
  const { assign, subtract, zero } = program.updates;
  const idle = new Set(probes ? [] : [assign, subtract, ...(grouped ? [] : [zero])]);
  return new Set(
    program.functions.flatMap((fn, f) =>
      idle.has(f) ? [] : fn.dispatches.flatMap((d) => [d.pipeline, ...(adding.has(f) && d.adding !== undefined ? [d.adding] : [])]),
    ),
  );
}

async function createPipeline(device: GPUDevice, decl: PipelineDecl): Promise<Pipeline> {
  let left = device.limits.maxDynamicStorageBuffersPerPipelineLayout;
  const dynamic = decl.moves.map((moves) => moves && left-- > 0);
  const storage = 0x4; // GPUShaderStage.COMPUTE
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: storage, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ...decl.access.map(
        (access, i): GPUBindGroupLayoutEntry => ({
          binding: i + 1,
          visibility: storage,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage', hasDynamicOffset: dynamic[i] ?? false },
        }),
      ),
    ],
  });
  const module = device.createShaderModule({ label: decl.name, code: decl.wgsl });
  try {
    const pipeline = await device.createComputePipelineAsync({
      label: decl.name,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    });
    return { decl, pipeline, layout, dynamic };
  } catch (error) {
    const info = await module.getCompilationInfo().catch(() => null);
    const lines = decl.wgsl.split('\n');
    const detail = info?.messages.map((m) => `${m.lineNum}: ${m.message} | ${lines[m.lineNum - 1]?.trim() ?? ''}`).join('; ');
    throw new EbbError(`kernel ${decl.name} does not compile on this device: ${detail || (error instanceof Error ? error.message : String(error))}`);
  }
}

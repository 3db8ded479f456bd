/** @file `ebb compile`: a model as a folder that trains it without a compiler. */

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageFiles } from '../codegen/trainer/index.ts';
import type { UnitCost } from '../codegen/trainer/source.ts';
import type { Target } from '../compile/functions.ts';
import { uniformPlan } from '../dropbp/plans/uniform.ts';
import { writeSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { patternOf } from '../inspect/patterns.ts';
import { amount, boundsOf, inspectionLinker } from '../inspect/report.ts';
import { inspect } from '../inspect/stages.ts';
import type { CommandDevice } from '../node/device.ts';
import type { Linker, Variant } from '../runtime/link.ts';
import type { Requirements } from '../runtime/plan.ts';
import { type FunctionDecl, functionFlops, type Program } from '../runtime/program.ts';
import { type LoraOptions, targetOf } from '../session.ts';
import { captureLocations } from '../trace/location.ts';
import type { TracedModel } from '../trace/trace.ts';
import { openSource } from './source.ts';
import { bundleTrainer } from './standalone.ts';
import { knownSchedules, withSchedules } from './tune.ts';

export interface CompileFlags {
  readonly out: string;
  readonly batch: number | null;
  readonly length: number | null;
  readonly lora: LoraOptions | null;
  readonly dropRate: number | null;
  readonly portable: boolean;
  readonly standalone: boolean;
}

export interface CompileReport {
  readonly out: string;
  readonly units: number;
  readonly functions: number;
  readonly kernels: number;
  /** Milliseconds of reading, tracing and compiling; of writing. */
  readonly compileMs: number;
  readonly writeMs: number;
}

/** WebGPU's default limits, and nothing that a device may lack. */
const PORTABLE: Target = {
  device: { kind: 'other', subgroups: false, subgroupSize: null, maxInvocations: 256, maxWorkgroupStorage: 16384 },
  maxBuffers: 8,
  widenOnce: 0,
  maxBinding: 2 ** 27,
};

/** Version of this package. */
const { version: EBB, dependencies } = createRequire(import.meta.url)('../../package.json') as {
  version: string;
  dependencies: Readonly<Record<string, string>>;
};

const WIDTHS: Readonly<Record<string, number>> = { vec2: 8, vec3: 16, vec4: 16 };

/** Bytes of a kernel's workgroup arrays. */
function workgroupBytes(wgsl: string): number {
  const arrays = [...wgsl.matchAll(/var<workgroup>\s+\w+\s*:\s*array<([a-z0-9]+)[^,]*,\s*(\d+)u?>/g)];
  return arrays.reduce((sum, [, type = '', length]) => sum + (WIDTHS[type.slice(0, 4)] ?? 4) * Number(length), 0);
}

function requirementsOf({ pipelines, partBytes }: Program, { device }: Target, portable: boolean): Requirements {
  const features = [...new Set(pipelines.flatMap((p) => p.features))].sort();
  const invocations = pipelines.map((p) => (/@workgroup_size\(([^)]*)\)/.exec(p.wgsl)?.[1] ?? '1').split(',').reduce((n, size) => n * Number(size), 1));
  const shared = Math.max(...pipelines.map((p) => workgroupBytes(p.wgsl)));
  return {
    kind: portable ? 'portable' : device.kind,
    subgroupSize: features.includes('subgroups') ? device.subgroupSize : null,
    features,
    limits: {
      maxStorageBuffersPerShaderStage: Math.max(...pipelines.map((p) => p.access.length)),
      maxComputeInvocationsPerWorkgroup: Math.max(...invocations),
      ...(shared > 0 ? { maxComputeWorkgroupStorageSize: shared } : {}),
      ...(partBytes < 2 ** 40 ? { maxStorageBufferBindingSize: Math.min(partBytes, 2 ** 27) } : {}),
    },
  };
}

interface Costs {
  readonly flops: number;
  readonly saved: number;
  readonly peak: number;
}

function costs(program: Program, variant: Variant, sizes: Readonly<Record<string, number>>): Costs {
  const flops = variant.calls.reduce((sum, call) => sum + functionFlops(program.functions[call.fn] as FunctionDecl, sizes), 0);
  return { flops, saved: variant.savedBytes, peak: variant.stackBytes + variant.slotBytes };
}

/** What a unit's backward costs: everything kept, less everything but it. */
function unitCosts(program: Program, linker: Linker, units: readonly string[], sizes: Readonly<Record<string, number>>): UnitCost[] {
  const whole = costs(program, linker.link(new Map()), sizes);
  return units.map((site) => {
    const without = costs(program, linker.link(patternOf([site])), sizes);
    return { site, note: `backward ${amount(whole.flops - without.flops, 'FLOP')}, saves ${amount(whole.saved - without.saved, 'B')}` };
  });
}

const RATES = [0, 0.5, 0.75, 0.875];

/** Compiles a checkpoint or definition and writes the folder. @throws EbbError */
export async function compileTo(model: string, flags: CompileFlags, device: CommandDevice | null): Promise<CompileReport> {
  const started = performance.now();
  captureLocations(true);
  const source = await openSource(model);
  const traced = source.trace({ batch: flags.batch, length: flags.length, lora: flags.lora });
  const target = device ? targetOf(withSchedules(device, knownSchedules(device))) : PORTABLE;
  const { compiled, joint, kernels } = inspect(traced, target);
  const { program, stages } = compiled;
  const compileMs = performance.now() - started;
  const sizes = boundsOf(program);
  const linker = inspectionLinker(program);
  const { units } = traced;
  const about = source.about(traced, flags.lora);
  const sum = (list: readonly (readonly number[])[]): number => list.reduce((n, shape) => n + shape.reduce((a, b) => a * b, 1), 0);
  const own = new Set(program.inputs.flatMap((i) => i.extent.of.map(String)));
  const files = packageFiles({
    program,
    about,
    requires: requirementsOf(program, target, flags.portable),
    stages: { ...stages, grad: { dims: stages.trace.dims, funcs: joint } },
    kernels: [...new Set(kernels.flat())],
    units: unitCosts(program, linker, units, sizes),
    dropRate: flags.dropRate,
    ebb: EBB,
    standalone: flags.standalone ? { webgpu: dependencies['webgpu'] ?? '*' } : null,
    readme: {
      dims: program.dims
        .filter((d) => own.has(d.name))
        .map((d) => `${d.name} ≤ ${d.bound}`)
        .join(', '),
      counts: {
        units: units.length,
        functions: program.functions.length,
        kernels: program.pipelines.length,
        params: sum(traced.params.filter((p) => !p.table).map((p) => p.shape)),
        trained: sum(traced.params.filter((p) => p.trainable).map((p) => p.shape)),
      },
      rates: RATES.map((rate) => {
        const { flops, saved, peak } = costs(program, linker.link(patternOf(uniformPlan(rate)({ units, seed: 0, step: 0, micro: 0, microBatches: 1 }))), sizes);
        return { rate, flops: amount(flops, 'FLOP'), saved: amount(saved, 'B'), peak: amount(peak, 'B') };
      }),
      inputs: program.inputs.map((i) => i.name),
      device: device ? `${device.opened.kind} (${device.opened.name})` : 'any WebGPU device',
    },
  });
  await writePackage(flags.out, files, traced, flags.standalone);
  const writeMs = performance.now() - started - compileMs;
  return { out: flags.out, units: units.length, functions: program.functions.length, kernels: program.pipelines.length, compileMs, writeMs };
}

async function writePackage(out: string, files: ReadonlyMap<string, string>, traced: TracedModel, standalone: boolean): Promise<void> {
  for (const folder of ['kernels', 'ir']) rmSync(join(out, folder), { recursive: true, force: true });
  for (const [path, text] of files) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeTextAside(join(out, path), text);
  }
  const tables = traced.params.flatMap((p) => (p.table ? [{ name: p.name, dtype: 'F32' as const, shape: p.shape, data: p.table }] : []));
  if (tables.length > 0) writeSafetensors(join(out, 'tables.safetensors'), tables, {});
  if (standalone) for (const [path, bytes] of await bundleTrainer(files.get('trainer.ts') ?? '')) writeFileSync(join(out, path), bytes);
  linkPackages(out, standalone);
}

/** So that the folder runs at once: node_modules points at the packages that made it. Elsewhere `npm install` takes its place. */
function linkPackages(out: string, standalone: boolean): void {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const target = standalone ? dirname(createRequire(import.meta.url).resolve('webgpu')) : root;
  const link = join(out, 'node_modules', standalone ? 'webgpu' : 'ebb');
  rmSync(join(out, 'node_modules'), { recursive: true, force: true });
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link, 'junction');
}

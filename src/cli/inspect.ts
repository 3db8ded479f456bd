/** @file `ebb inspect`: the IR of any stage, and what a pattern costs beside the same with nothing dropped. */

import { readFileSync } from 'node:fs';
import type { DeviceTraits } from '../codegen/kernel/schedule.ts';
import { kernelText } from '../codegen/wgsl/text.ts';
import { compileModel } from '../compile/compile.ts';
import { uniformPlan } from '../dropbp/plans/uniform.ts';
import { EbbError } from '../errors.ts';
import { openCheckpoint } from '../formats/checkpoint.ts';
import { parseModule } from '../ir/parse.ts';
import { printModule } from '../ir/print.ts';
import type { Func } from '../ir/types.ts';
import { verify } from '../ir/verify.ts';
import { trainingMode } from '../models/inputs.ts';
import { functionFlops } from '../runtime/execute.ts';
import type { Form } from '../runtime/forms.ts';
import { createLinker, type Variant } from '../runtime/link.ts';
import { extentBytes, type Program } from '../runtime/program.ts';
import { planStorage } from '../runtime/storage.ts';
import { type LoraOptions, traceCheckpoint } from '../session.ts';
import { captureLocations } from '../trace/location.ts';

export const STAGES = ['trace', 'grad', 'dropbp', 'fuse', 'kernel', 'wgsl', 'plan'] as const;
export type Stage = (typeof STAGES)[number];

export interface InspectOptions {
  readonly stage?: Stage | undefined;
  readonly drop?: readonly string[] | undefined;
  readonly dropRate?: number | undefined;
  readonly seed: number;
  readonly cost: boolean;
  readonly locs: boolean;
  readonly batch: number;
  readonly length: number;
  readonly lora: LoraOptions | null;
  readonly traits: DeviceTraits;
  readonly maxBuffers: number;
}

/** A dump is parsed, verified and printed unchanged. */
export function inspectDump(path: string): string {
  const text = readFileSync(path, 'utf8');
  const module = parseModule(text, path);
  verify(module);
  // a dump made with --locs or --cost is printed with them again
  return printModule(module, { locs: / loc\(/.test(text), ...(/ FLOP$/m.test(text) ? { costs: module.dims } : {}) });
}

export interface CallReport {
  readonly site: string;
  readonly function: string;
  readonly phase: string;
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
}
export interface VariantReport {
  readonly dropped: readonly string[];
  readonly frontier: string | null;
  readonly calls: readonly CallReport[];
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  readonly bytesMoved: number;
  readonly savedBytes: number;
  readonly peakBytes: number;
  readonly dispatches: number;
}

function report(program: Program, variant: Variant, dropped: readonly string[], sizes: Readonly<Record<string, number>>): VariantReport {
  const calls = variant.calls.map((call): CallReport => {
    const fn = program.functions[call.fn];
    const bytes = (fn?.dispatches ?? []).reduce(
      (sum, d) => sum + d.slots.reduce((n, s) => n + extentBytes(fn?.slots[s]?.extent ?? { of: [], bytes: 0 }, sizes), 0),
      0,
    );
    return {
      site: program.calls[call.call]?.site ?? '',
      function: fn?.name ?? '',
      phase: call.phase,
      dispatches: fn?.dispatches.length ?? 0,
      flops: fn ? functionFlops(fn, sizes) : 0,
      bytes,
    };
  });
  const total = (key: 'flops' | 'bytes' | 'dispatches', wanted: (c: CallReport) => boolean): number => calls.filter(wanted).reduce((sum, c) => sum + c[key], 0);
  return {
    dropped,
    frontier: variant.frontier,
    calls,
    forwardFlops: total('flops', (c) => c.phase === 'forward'),
    backwardFlops: total('flops', (c) => c.phase !== 'forward'),
    bytesMoved: total('bytes', () => true),
    savedBytes: variant.savedBytes,
    peakBytes: variant.stackBytes + variant.slotBytes,
    dispatches: total('dispatches', () => true),
  };
}

const FORMATS = [1e12, 'T', 1e9, 'G', 1e6, 'M', 1e3, 'k'] as const;
export function amount(value: number, unit: string): string {
  for (let i = 0; i < FORMATS.length; i += 2) if (value >= Number(FORMATS[i])) return `${(value / Number(FORMATS[i])).toFixed(2)} ${FORMATS[i + 1]}${unit}`;
  return `${value} ${unit}`;
}

function variantText(program: Program, variant: Variant, r: VariantReport, cost: boolean): string {
  const name = (site: string): string => (site === '' ? '' : ` [${site}]`);
  const lines = r.calls.map((c, i) => {
    const linked = variant.calls[i];
    const address = linked?.slots.filter((at) => at >= 0).length ?? 0;
    return `  call @${c.function}${name(c.site)} {phase = "${c.phase}", dispatches = ${c.dispatches}, values = ${address}}${cost ? ` // ${amount(c.flops, 'FLOP')}, ${amount(c.bytes, 'B')}` : ''}`;
  });
  return (
    [`variant of @train {drop = [${r.dropped.join(', ')}], frontier = ${r.frontier ?? 'none'}} {`, ...lines, '}'].join('\n') +
    (program.pipelines.length > 0 ? '\n' : '')
  );
}

/** Forward and backward in one, once for each set of gradients a call can want. */
export function numbered(funcs: readonly Func[]): Func[] {
  const used = new Map<string, number>();
  return funcs.map((func) => {
    const n = used.get(func.name) ?? 0;
    used.set(func.name, n + 1);
    return { ...func, name: `${func.name}.grad${n === 0 ? '' : n}` };
  });
}

export interface Inspection {
  readonly text: string;
  readonly json: unknown;
}

/** Inspects a checkpoint (no weights are read). @throws EbbError for an unknown unit */
export function inspectModel(path: string, options: InspectOptions): Inspection {
  const checkpoint = openCheckpoint(path);
  const dims = { B: options.batch, T: options.length };
  captureLocations(options.locs);
  const traced = traceCheckpoint(checkpoint, { mode: trainingMode(options.length), dims, lora: options.lora, trains: options.lora ? 'adapter' : 'full' });
  const print = { locs: options.locs, ...(options.cost ? { costs: dims } : {}) };
  const patterned = options.drop !== undefined || options.dropRate !== undefined;
  const stage = options.stage ?? (patterned ? undefined : 'trace');
  if (stage === 'trace') {
    const text = printModule(traced.module, print);
    return { text, json: { stage, text } };
  }
  const joint: Func[] = [];
  const kernels = new Set<string>();
  const { program, stages } = compileModel(traced, {
    target: { device: options.traits, maxBuffers: options.maxBuffers },
    onPass: (pass, func) => void (pass === 'grad' && joint.push(func)),
    onKernel: (kernel) => void kernels.add(kernelText(kernel)),
  });
  if (stage === 'grad' || stage === 'dropbp' || stage === 'fuse') {
    const module = stage === 'grad' ? { dims: stages.trace.dims, funcs: numbered(joint) } : stages[stage];
    const text = printModule(module, print);
    return { text, json: { stage, text } };
  }
  if (stage === 'kernel' || stage === 'wgsl') {
    const texts = stage === 'wgsl' ? program.pipelines.map((p) => p.wgsl) : [...kernels];
    return { text: `${texts.join('\n')}\n`, json: { stage, texts } };
  }
  const storage = planStorage(
    program,
    Object.fromEntries(program.dims.map((d) => [d.name, d.bound])),
    { maxBufferSize: 2 ** 40, maxBinding: 2 ** 40 },
    () => true,
  );
  const linker = createLinker(program, storage.placement, Object.fromEntries(program.dims.map((d) => [d.name, d.bound])));
  const dropped = options.drop ?? uniformPlan(options.dropRate ?? 0)({ units: traced.units, seed: options.seed, step: 0, micro: 0, microBatches: 1 });
  const unknown = dropped.find((u) => !traced.units.includes(u));
  if (unknown !== undefined)
    throw new EbbError(`--drop: unknown unit ${unknown}; the model has ${traced.units.slice(0, 4).join(', ')}, … (${traced.units.length} units)`);
  const variant = linker.link(new Map(dropped.map((u): [string, Form] => [u, 'dropped'])));
  const own = report(program, variant, dropped, dims);
  const none = report(program, linker.link(new Map()), [], dims);
  const row = (label: string, key: 'forwardFlops' | 'backwardFlops' | 'bytesMoved' | 'savedBytes' | 'peakBytes' | 'dispatches', unit: string): string =>
    `${label.padEnd(22)}${amount(own[key], unit).padStart(14)}${amount(none[key], unit).padStart(18)}`;
  const table = [
    `${''.padEnd(22)}${'this pattern'.padStart(14)}${'nothing dropped'.padStart(18)}`,
    row('forward', 'forwardFlops', 'FLOP'),
    row('backward', 'backwardFlops', 'FLOP'),
    row('moved', 'bytesMoved', 'B'),
    row('saved activations', 'savedBytes', 'B'),
    row('peak of activations', 'peakBytes', 'B'),
    row('dispatches', 'dispatches', ''),
  ].join('\n');
  return {
    text: `${variantText(program, variant, own, options.cost)}\n${table}\n`,
    json: { pattern: own, nothingDropped: none, pipelines: program.pipelines.length },
  };
}

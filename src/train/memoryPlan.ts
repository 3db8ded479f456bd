/** @file What memory a run takes, known before it starts, and how its patterns are fitted into a budget. */

import type { DropPlan } from '../dropbp/plans/index.ts';
import { at, EbbError } from '../errors.ts';
import { type ActivationBytes, type BufferBytes, bufferBytes, bytesOfKinds, totalBytes } from '../runtime/bufferBytes.ts';
import { type Fitted, fitPattern } from '../runtime/link/fit.ts';
import type { Form, Pattern } from '../runtime/link/forms.ts';
import { createLinker, type Linker } from '../runtime/link/link.ts';
import { probeBytes } from '../runtime/probeNorms.ts';
import { functionFlops, type Program, type Sizes } from '../runtime/program.ts';
import { planStorage } from '../runtime/storage.ts';
import { drawPattern } from './patterns.ts';

/** What a run's memory depends on. */
export interface MemoryRequest {
  readonly program: Program;
  readonly plan: DropPlan;
  readonly seed: number;
  readonly steps: number;
  /** Micro-batches a step. */
  readonly accumulate: number;
  readonly optimizer: 'adamw' | 'sgd';
  readonly decays: (param: number) => boolean;
  /** Most bytes of a buffer on the device. */
  readonly maxBufferSize: number;
  /** Most bytes of all buffers; null: patterns save all that they read, and memory is for any of them. */
  readonly budget: number | null;
}

/** A pattern in numbers, as it runs: bytes on the stack at its peak, of which saved values; units whose forward runs again, and its FLOPs by those of forward. */
export interface PatternMemory {
  readonly stackBytes: number;
  readonly savedBytes: number;
  readonly again: number;
  readonly againShare: number;
}

export interface MemoryPlan {
  readonly buffers: BufferBytes;
  readonly total: number;
  readonly activations: ActivationBytes;
  /** Forms that the patterns hold. */
  readonly forms: readonly Form[];
  /** The pattern as it runs: units turned to `remat` where the budget asks for it. @throws EbbError for one that does not fit */
  readonly fitted: (pattern: Pattern) => Pattern;
  /** Different patterns of the run that were looked at. */
  readonly patterns: number;
  readonly worst: PatternMemory;
  readonly mean: PatternMemory;
}

/** A run of more draws is checked on so many of them; a later pattern that does not fit ends it with the same error. */
const MOST_DRAWS = 4096;
/** Patterns whose forms are chosen for the mean. */
const SAMPLE = 32;

/**
 * A run that measures sensitivities, within a budget that measuring fits into: it keeps everything of a step, and what it takes is there
 * for all other steps.
 */
function withProbes(request: MemoryRequest, budget: number): MemoryPlan {
  const plan = planMemory({ ...request, budget: null });
  if (plan.total <= budget) return plan;
  throw new EbbError(
    `memoryBudget: is ${budget} bytes, expected at least ${plan.total}: sensitivities are to be measured, which keeps everything of a step; give drop.sensitivities, or choose a smaller batch or length`,
  );
}

/** Plans a run's memory. @throws EbbError where the budget is less than what the least of it takes, with that in bytes */
export function planMemory(request: MemoryRequest): MemoryPlan {
  const { program, plan, optimizer, accumulate: micros, budget, decays, maxBufferSize } = request;
  if (budget !== null && plan.measure) return withProbes(request, budget);
  const sizes: Sizes = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const storage = planStorage(program, sizes, { maxBufferSize, maxBinding: program.partBytes }, decays);
  const linker = createLinker(program, storage.placement, sizes);
  const buffersOf = (moving: ActivationBytes & { readonly probeBytes?: number }): BufferBytes =>
    bufferBytes(program, sizes, storage, { ...moving, micros, optimizer });
  const drawn = patternsOf(request);
  const slotBytes = linker.bounds(['full', 'dropped', 'skipped']).slotBytes;
  const evaluation = linker.link(new Map(), { forwardOnly: true }).stackBytes;
  const others = buffersOf({ stackBytes: 0, slotBytes });
  const fixed = totalBytes(others) - bytesOfKinds(others, 'activations');
  const allowed = budget === null ? Number.POSITIVE_INFINITY : Math.floor((budget - fixed) / 256) * 256;
  const tooSmall = (pattern: Pattern): EbbError => {
    const least = Math.max(evaluation, leastStack(program, linker, sizes, pattern));
    return new EbbError(
      `memoryBudget: is ${budget} bytes, expected at least ${fixed + least}: ${least} for activations where units run their forward again, ${fixed} for all else; choose a smaller batch or length`,
    );
  };
  const choose = (pattern: Pattern): Fitted => {
    const found = allowed > 0 ? fitPattern(program, linker, sizes, pattern, allowed) : null;
    if (!found) throw tooSmall(pattern);
    return found;
  };
  if (evaluation > allowed) throw tooSmall(new Map());
  const saving = drawn.map((pattern) => linker.link(pattern).stackBytes);
  // what fits where every unit runs again surely fits, and may take all that is allowed
  const fits = (pattern: Pattern): boolean => linker.link(rematAll(program, pattern)).stackBytes <= allowed;
  const needed = drawn.map((pattern, i) => {
    const bytes = at(saving, i);
    return bytes <= allowed ? bytes : fits(pattern) ? allowed : choose(pattern).variant.stackBytes;
  });
  const stackBytes = budget === null ? linker.bounds(['full', 'dropped', 'skipped']).stackBytes : Math.max(evaluation, ...needed);
  const probes = plan.measure ? linker.probes('norms') : null;
  const buffers = probes
    ? buffersOf({
        stackBytes: Math.max(stackBytes, probes.stackBytes),
        slotBytes: Math.max(slotBytes, probes.slotBytes),
        probeBytes: probeBytes(program, probes),
      })
    : buffersOf({ stackBytes, slotBytes });
  const every = Math.max(1, Math.floor(drawn.length / SAMPLE));
  const worstDrawn = drawn[saving.indexOf(Math.max(...saving))] ?? new Map();
  const forward = forwardFlops(program, linker, sizes);
  const numbers = (pattern: Pattern): PatternMemory => inNumbers(program, sizes, choose(pattern), forward);
  return {
    buffers,
    total: totalBytes(buffers),
    activations: { stackBytes, slotBytes },
    forms: ['full', 'dropped', 'skipped', ...(budget === null ? [] : (['remat'] as const))],
    fitted: budget === null ? (pattern) => pattern : (pattern) => choose(pattern).pattern,
    patterns: drawn.length,
    worst: numbers(worstDrawn),
    mean: meanOf(drawn.filter((_, i) => i % every === 0).map(numbers)),
  };
}

/** Different patterns of a run's draws, in the order in which they first come. */
function patternsOf({ plan, seed, steps, accumulate }: MemoryRequest): readonly Pattern[] {
  const found = new Map<string, Pattern>();
  for (let k = 0; k < Math.min(MOST_DRAWS, steps * accumulate); k++) {
    const pattern = drawPattern(plan.draw({ seed, step: Math.floor(k / accumulate), micro: k % accumulate, microBatches: accumulate }));
    found.set([...pattern].join(), pattern);
  }
  return [...found.values()];
}

const rematAll = (program: Program, pattern: Pattern): Pattern =>
  new Map([...program.calls.flatMap((c) => (c.unit ? [[c.site, 'remat'] as const] : [])), ...pattern]);

/** The smallest stack that a pattern fits into, by halving. */
function leastStack(program: Program, linker: Linker, sizes: Sizes, pattern: Pattern): number {
  let [low, high] = [0, linker.link(pattern).stackBytes / 256];
  while (high - low > 1) {
    const middle = Math.ceil((low + high) / 2);
    if (fitPattern(program, linker, sizes, pattern, middle * 256)) high = middle;
    else low = middle;
  }
  return high * 256;
}

function forwardFlops(program: Program, linker: Linker, sizes: Sizes): number {
  return linker.link(new Map(), { forwardOnly: true }).calls.reduce((sum, { fn }) => sum + flopsOf(program, fn, sizes), 0);
}

const flopsOf = (program: Program, fn: number, sizes: Sizes): number => {
  const decl = program.functions[fn];
  return decl ? functionFlops(decl, sizes) : 0;
};

function inNumbers(program: Program, sizes: Sizes, { variant, again }: Fitted, forward: number): PatternMemory {
  const flops = variant.calls.reduce((sum, { fn, phase }) => sum + (phase === 'again' ? flopsOf(program, fn, sizes) : 0), 0);
  return { stackBytes: variant.stackBytes, savedBytes: variant.savedBytes, again: again.length, againShare: flops / forward };
}

function meanOf(list: readonly PatternMemory[]): PatternMemory {
  const mean = (of: (m: PatternMemory) => number): number => list.reduce((sum, m) => sum + of(m), 0) / Math.max(1, list.length);
  return { stackBytes: mean((m) => m.stackBytes), savedBytes: mean((m) => m.savedBytes), again: mean((m) => m.again), againShare: mean((m) => m.againShare) };
}

/** @file The memory of a run by its config, and as a person reads it. */

import type { DropPlan } from '../dropbp/plans/index.ts';
import { type BufferKind, bytesOfKinds } from '../runtime/bufferBytes.ts';
import type { Program } from '../runtime/program.ts';
import type { RunConfig } from '../train/config.ts';
import { type MemoryPlan, type PatternMemory, planMemory } from '../train/memoryPlan.ts';
import { decaysOf } from './engine.ts';

type MemoryConfig = Pick<RunConfig, 'seed' | 'accumulate' | 'optimizer' | 'decay' | 'memoryBudget'>;

/** @throws EbbError where the budget is too small, with the least that is not */
export function planRunMemory(config: MemoryConfig, program: Program, plan: DropPlan, steps: number, maxBufferSize: number): MemoryPlan {
  const { seed, accumulate, optimizer, decay, memoryBudget = null } = config;
  const decays = decaysOf(program, decay);
  return planMemory({ program, plan, seed, steps, accumulate, optimizer: optimizer.name, decays, maxBufferSize, budget: memoryBudget });
}

const ROWS: readonly (readonly [string, readonly BufferKind[]])[] = [
  ['weights', ['params', 'frozen']],
  ['gradients', ['gradients']],
  ['optimizer', ['m', 'v', 'counts']],
  ['activations and scratch', ['activations']],
  ['residuals', ['residuals']],
  ['batches and results', ['inputs', 'results', 'states', 'readback', 'norms', 'uniforms']],
];

const mebi = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;

/** What runs its forward again: units that a budget asks for, and the parts of a head whose logits are never whole. */
function againText({ again, againShare }: PatternMemory): string {
  if (againShare === 0) return 'no forward runs again';
  const share = `${(100 * againShare).toFixed(1)} % of forward runs again`;
  return again === 0 ? `${share}: parts of the head, whose logits are too large to keep` : `${share}: that of ${Number(again.toFixed(1))} units`;
}

/** What buffers there will be, and what the run's patterns need of them; bytes are exact. */
export function memoryText({ buffers, total, patterns, worst, mean }: Omit<MemoryPlan, 'fitted' | 'forms'>, budget: number | null): string {
  const row = (label: string, bytes: number): string => `  ${label.padEnd(24)}${mebi(bytes).padStart(14)}${String(bytes).padStart(15)} B`;
  const pattern = (name: string, p: PatternMemory): string => `  ${name}: ${mebi(p.stackBytes)}, of which saved ${mebi(p.savedBytes)}; ${againText(p)}`;
  return [
    `memory${budget === null ? '' : ` within ${mebi(budget)}`}:`,
    ...ROWS.map(([label, kinds]) => row(label, bytesOfKinds(buffers, ...kinds))),
    row('total', total),
    `activations and scratch of ${patterns} different drop patterns:`,
    pattern('worst', worst),
    pattern('mean', mean),
  ].join('\n');
}

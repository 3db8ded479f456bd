/** @file The pipelines of a program. Kernels that differ only in names, and are bound alike, share one. */

import type { Kernel } from '../codegen/kernel/ir.ts';
import { canonicalText } from '../codegen/kernel/rewrite/canonical.ts';
import { moduleOf, type Target } from '../codegen/targets/target.ts';
import type { PipelineDecl } from '../runtime/program.ts';

export interface PipelineTable {
  /** The language in which kernels are printed. */
  readonly target: Target;
  readonly list: PipelineDecl[];
  /** Indices in `list`, by the kernel's canonical text and by which of its buffers move. */
  readonly indices: Map<string, number>;
}

export function pipelineTable(target: Target): PipelineTable {
  return { target, list: [], indices: new Map() };
}

/** Index of a kernel's pipeline, which is added if there is none yet. @param moves for each buffer, whether its place differs from call to call */
export function pipelineOf({ target, list, indices }: PipelineTable, kernel: Kernel, moves: readonly boolean[]): number {
  const key = `${canonicalText(kernel)}|${moves.map(Number).join('')}`;
  const known = indices.get(key);
  if (known !== undefined) return known;
  list.push({
    name: kernel.name,
    code: moduleOf(target, kernel),
    access: kernel.buffers.map(({ access }) => access),
    moves,
    features: target.features(kernel.uses),
  });
  indices.set(key, list.length - 1);
  return list.length - 1;
}

/** @file The pipelines of a program: kernels that differ in names alone, and are bound alike, are one. */

import type { Kernel } from '../codegen/kernel/ir.ts';
import { canonicalText } from '../codegen/kernel/rewrite/canonical.ts';
import { moduleOf, type Target } from '../codegen/targets/target.ts';
import type { PipelineDecl } from '../runtime/program.ts';

export interface PipelineTable {
  /** The language that its kernels are printed in. */
  readonly target: Target;
  readonly list: PipelineDecl[];
  /** Places in the list by canonical kernel and by which of its buffers move. */
  readonly indices: Map<string, number>;
}

export function pipelineTable(target: Target): PipelineTable {
  return { target, list: [], indices: new Map() };
}

/** Index of a kernel's pipeline, which is added where there is none yet. @param moves whether each buffer lies elsewhere in every call */
export function pipelineOf({ target, list, indices }: PipelineTable, kernel: Kernel, moves: readonly boolean[]): number {
  const key = `${canonicalText(kernel)}|${moves.map(Number).join('')}`;
  const known = indices.get(key);
  if (known !== undefined) return known;
  list.push({
    name: kernel.name,
    wgsl: moduleOf(target, kernel),
    access: kernel.buffers.map(({ access }) => access),
    moves,
    features: target.features(kernel.uses),
  });
  indices.set(key, list.length - 1);
  return list.length - 1;
}

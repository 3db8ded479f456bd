/** @file Kernels as files. They are named after what they do, and each begins with what it computes, where that stands in the fused IR, and what it costs. */

import { at } from '../../errors.ts';
import { isFused } from '../../ir/ops/control.ts';
import { printModule } from '../../ir/print.ts';
import type { Module } from '../../ir/types.ts';
import type { Program } from '../../runtime/program.ts';
import type { Target } from '../targets/target.ts';
import { headOf, type Lines, type Use } from './kernelHead.ts';

export interface KernelFile {
  readonly file: string;
  readonly text: string;
}

/** The lines of every fused group, by function in the module's order: several functions may have one name. */
export function groupLines(text: string): readonly (readonly Lines[])[] {
  const found: Lines[][] = [];
  let start = 0;
  text.split('\n').forEach((line, i) => {
    if (line.startsWith('func @')) found.push([]);
    else if (/^ {2}(?:%.* = )?fused \{.*\} \{$/.test(line)) start = i + 1;
    else if (line === '  }') at(found, -1).push([start, i + 1]);
  });
  return found;
}

/** The uses of every pipeline, in their order. */
function usesOf(program: Program, fuse: Module): readonly (readonly Use[])[] {
  const lines = groupLines(printModule(fuse));
  const uses = program.pipelines.map((): Use[] => []);
  program.functions.forEach((fn, f) => {
    const fused = at(fuse.funcs, f);
    const [groups, own] = [fused.ops.filter(isFused), at(lines, f)];
    let group = 0;
    for (const dispatch of fn.dispatches) {
      const use = { fn, fused, dispatch, group: at(groups, group), lines: at(own, group) };
      at(uses, dispatch.pipeline).push({ ...use, adding: false });
      if (dispatch.adding !== undefined) at(uses, dispatch.adding).push({ ...use, adding: true });
      if (!dispatch.partial) group++;
    }
  });
  return uses;
}

/** The file of every pipeline, in their order. @param stageFile where the fused stage is written */
export function kernelFiles(program: Program, fuse: Module, stageFile: string, target: Target): KernelFile[] {
  const uses = usesOf(program, fuse);
  const taken = new Set<string>();
  return program.pipelines.map((pipeline, i): KernelFile => {
    const own = at(uses, i);
    const base = `${at(own, 0).fn.name}.${pipeline.name}`;
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}.${n}`;
    taken.add(name);
    return { file: `kernels/${name}.${target.name}`, text: `${headOf(program, own, stageFile, target, pipeline.code)}\n${pipeline.code.trimEnd()}\n` };
  });
}

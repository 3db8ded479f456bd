/** @file Kernels as files: named after what they do, each headed by where its ops stand in the fused IR, and what it costs. */

import { type Cost, costText } from '../../cost.ts';
import { printModule } from '../../ir/print.ts';
import type { Module } from '../../ir/types.ts';
import type { DispatchDecl, Extent, FunctionDecl, PipelineDecl, Program } from '../../runtime/program.ts';

export interface KernelFile {
  readonly file: string;
  readonly text: string;
}

interface Use {
  readonly fn: FunctionDecl;
  readonly dispatch: DispatchDecl;
  /** Lines of the fused stage's text, from 1. */
  readonly lines: readonly [number, number];
}

/** First and last line of every fused group, by function, in order. */
export function groupLines(text: string): Map<string, [number, number][]> {
  const found = new Map<string, [number, number][]>();
  let groups: [number, number][] = [];
  let start = 0;
  text.split('\n').forEach((line, i) => {
    const name = /^func @([A-Za-z0-9_.]+)\(/.exec(line)?.[1];
    if (name !== undefined) {
      groups = [];
      found.set(name, groups);
    } else if (/^ {2}(?:%.* = )?fused \{.*\} \{$/.test(line)) start = i + 1;
    else if (line === '  }') groups.push([start, i + 1]);
  });
  return found;
}

function usesOf(program: Program, fuse: Module, text: string): Map<number, Use[]> {
  const lines = groupLines(text);
  const uses = new Map<number, Use[]>();
  program.functions.forEach((fn, f) => {
    const own = lines.get(fuse.funcs[f]?.name ?? '') ?? [];
    let group = 0;
    fn.dispatches.forEach((dispatch) => {
      for (const pipeline of [dispatch.pipeline, ...(dispatch.adding === undefined ? [] : [dispatch.adding])]) {
        const list = uses.get(pipeline) ?? [];
        list.push({ fn, dispatch, lines: own[group] ?? [0, 0] });
        uses.set(pipeline, list);
      }
      if (!dispatch.partial) group++;
    });
  });
  return uses;
}

/** FLOPs as a formula of the run-time dimensions. */
function flopText(cost: Cost): string {
  return cost.length === 0 ? 'no FLOP' : `${costText(cost)} FLOP`;
}

/** Bytes bound as a formula: each buffer once, an upper bound of what is moved from and to memory. */
export function byteText(extents: readonly Extent[]): string {
  const sums = new Map<string, number>();
  for (const { of, bytes } of extents) {
    const names = of.filter((d) => typeof d === 'string').join('·');
    sums.set(names, (sums.get(names) ?? 0) + bytes * of.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1));
  }
  return `${[...sums].map(([names, n]) => (names === '' ? String(n) : `${n}·${names}`)).join(' + ')} bytes bound`;
}

function headOf(uses: readonly Use[], stageFile: string): string {
  return uses
    .map(({ fn, dispatch, lines }) => {
      const extents = [...new Set(dispatch.slots)].flatMap((s) => fn.slots[s]?.extent ?? []);
      return `// @${fn.name}, ${stageFile}:${lines[0]}-${lines[1]}: ${flopText(dispatch.flops)}, ${byteText(extents)}`;
    })
    .join('\n');
}

/** The file of every pipeline, in their order. `stageFile` is where the fused stage is written. */
export function kernelFiles(program: Program, fuse: Module, stageFile: string): KernelFile[] {
  const uses = usesOf(program, fuse, printModule(fuse));
  const taken = new Set<string>();
  return program.pipelines.map((pipeline: PipelineDecl, i): KernelFile => {
    const own = uses.get(i) ?? [];
    const base = `${own[0]?.fn.name ?? 'kernel'}.${pipeline.name}`;
    let name = base;
    for (let n = 2; taken.has(name); n++) name = `${base}.${n}`;
    taken.add(name);
    return { file: `kernels/${name}.wgsl`, text: `${headOf(own, stageFile)}\n${pipeline.wgsl.trimEnd()}\n` };
  });
}

/** @file Kernels as files. They are named after what they do, and each begins with where its ops stand in the fused IR and what it costs. */

import { type Cost, costText } from '../../cost.ts';
import { at, invariant } from '../../errors.ts';
import { printModule } from '../../ir/print.ts';
import type { Module } from '../../ir/types.ts';
import type { DispatchDecl, Extent, FunctionDecl, Program } from '../../runtime/program.ts';
import type { Target } from '../targets/target.ts';

export interface KernelFile {
  readonly file: string;
  readonly text: string;
}

/** A dispatch of a pipeline. */
interface Use {
  readonly fn: FunctionDecl;
  readonly dispatch: DispatchDecl;
  /** The lines of the group that its kernel was made of. */
  readonly lines: Lines;
}

/** First and last line of a fused group in the text of the fused stage, from 1. */
type Lines = readonly [first: number, last: number];

/** The lines of every fused group, by function, in order. */
export function groupLines(text: string): ReadonlyMap<string, readonly Lines[]> {
  const found = new Map<string, Lines[]>();
  let groups: Lines[] = [];
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

/** The uses of every pipeline, in their order. */
function usesOf(program: Program, fuse: Module): readonly (readonly Use[])[] {
  const lines = groupLines(printModule(fuse));
  const uses = program.pipelines.map((): Use[] => []);
  program.functions.forEach((fn, f) => {
    const { name } = at(fuse.funcs, f);
    const own = lines.get(name);
    invariant(own !== undefined, `@${name} is printed`);
    let group = 0;
    for (const dispatch of fn.dispatches) {
      const use: Use = { fn, dispatch, lines: at(own, group) };
      at(uses, dispatch.pipeline).push(use);
      if (dispatch.adding !== undefined) at(uses, dispatch.adding).push(use);
      if (!dispatch.partial) group++;
    }
  });
  return uses;
}

/** FLOPs as a formula of the run-time dimensions. */
function flopText(cost: Cost): string {
  return cost.length === 0 ? 'no FLOP' : `${costText(cost)} FLOP`;
}

/** The bytes that are bound, as a formula. Each buffer counts once, so that it is an upper bound of what is moved from and to memory. */
export function byteText(extents: readonly Extent[]): string {
  const sums = new Map<string, number>();
  for (const { of, bytes } of extents) {
    const names = of.filter((d) => typeof d === 'string').join('·');
    sums.set(names, (sums.get(names) ?? 0) + bytes * of.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1));
  }
  return `${[...sums].map(([names, n]) => (names === '' ? String(n) : `${n}·${names}`)).join(' + ')} bytes bound`;
}

function headOf(uses: readonly Use[], stageFile: string, { lineComment }: Target): string {
  return uses
    .map(({ fn, dispatch, lines }) => {
      const extents = [...new Set(dispatch.slots)].map((slot) => at(fn.slots, slot).extent);
      return `${lineComment} @${fn.name}, ${stageFile}:${lines[0]}-${lines[1]}: ${flopText(dispatch.flops)}, ${byteText(extents)}`;
    })
    .join('\n');
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
    return { file: `kernels/${name}.${target.name}`, text: `${headOf(own, stageFile, target)}\n${pipeline.code.trimEnd()}\n` };
  });
}

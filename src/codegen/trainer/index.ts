/** @file A compiled model as a package: names of files and what they hold. The same input gives the same bytes. */

import { at } from '../../errors.ts';
import { printModule } from '../../ir/print.ts';
import type { Module } from '../../ir/types.ts';
import { type ModelAbout, makePlan, type Requirements } from '../../runtime/planFile.ts';
import type { Program } from '../../runtime/program.ts';
import { targetNamed } from '../targets/targets.ts';
import { kernelFiles } from './kernels.ts';
import { javascriptOf, modelSource, trainerSource, type UnitCost } from './source.ts';
import { manifestText, pageText, planText, type ReadmeFacts, readmeText, TSCONFIG_TEXT } from './text.ts';

export interface PackageInput {
  readonly program: Program;
  readonly about: ModelAbout;
  readonly requires: Requirements;
  readonly stages: { readonly trace: Module; readonly grad: Module; readonly dropbp: Module; readonly fuse: Module };
  /** The kernel IR of each kernel. */
  readonly kernels: readonly string[];
  readonly units: readonly UnitCost[];
  readonly readme: Omit<ReadmeFacts, 'about' | 'ebb' | 'language' | 'standalone'>;
  readonly dropRate: number | null;
  readonly ebb: string;
  /** Standalone packages bundle the runtime and depend on `webgpu` alone. */
  readonly standalone: { readonly webgpu: string } | null;
}

export const FUSE_FILE = 'ir/4-fuse.ebb';

/** Text files by path; `tables.safetensors` and bundles are written by the caller. */
export function packageFiles(input: PackageInput): Map<string, string> {
  const { program, about, requires, stages, ebb, standalone } = input;
  const target = targetNamed(program.target);
  const kernels = kernelFiles(program, stages.fuse, FUSE_FILE, target);
  const plan = makePlan({ program, about, requires }, (_, i) => at(kernels, i).file);
  const head = [
    `Trains ${about.name}: ${input.units.length} units that may lose their backward in a step (DropBP, arXiv 2402.17812).`,
    `Compiled by Ebb ${ebb} for ${input.readme.device}.`,
    '',
    '  node trainer.js --weights model.safetensors --data batches.safetensors --steps 100 --lr 1e-3 --drop-rate 0.5 --seed 1 --out runs/mine',
  ];
  const sources = { trainer: trainerSource(head), model: modelSource({ name: about.name, units: input.units, program, dropRate: input.dropRate }) };
  const ir = (module: Module): string => printModule(module, { locs: true });
  return new Map([
    ...Object.entries(sources).flatMap(([name, source]): [string, string][] => [
      [`${name}.ts`, source],
      [`${name}.js`, javascriptOf(source, `${name}.ts`)],
    ]),
    ['plan.json', planText(plan)],
    ...kernels.map(({ file, text }): [string, string] => [file, text]),
    ['ir/1-trace.ebb', ir(stages.trace)],
    ['ir/2-grad.ebb', ir(stages.grad)],
    ['ir/3-dropbp.ebb', ir(stages.dropbp)],
    [FUSE_FILE, ir(stages.fuse)],
    ['ir/5-kernels.txt', `${input.kernels.join('\n')}\n`],
    ['README.md', readmeText({ ...input.readme, about, ebb, language: target.title, standalone: standalone !== null })],
    ['package.json', manifestText(about.name, standalone?.webgpu ?? null)],
    ['tsconfig.json', TSCONFIG_TEXT],
    ...(standalone ? [['index.html', pageText(about.name)] as [string, string]] : []),
  ]);
}

/** @file Linkers of small models with a placement as on a device. */

import { compileModel } from '../../src/compile/compile.ts';
import { createLinker, type Linker } from '../../src/runtime/link.ts';
import type { Program } from '../../src/runtime/program.ts';
import { planStorage } from '../../src/runtime/storage.ts';
import { TARGET, type TinyOptions, tinyModel } from './tinyModels.ts';

export interface LinkedModel {
  readonly program: Program;
  readonly linker: Linker;
  readonly units: readonly string[];
  readonly sizes: Readonly<Record<string, number>>;
}

export function linkedModel(options: TinyOptions): LinkedModel {
  const traced = tinyModel(options);
  const { program } = compileModel(traced, { target: TARGET });
  const sizes = Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));
  const { placement } = planStorage(program, sizes, { maxBufferSize: 2 ** 40, maxBinding: 2 ** 40 }, () => true);
  return { program, linker: createLinker(program, placement, sizes), units: traced.units, sizes };
}

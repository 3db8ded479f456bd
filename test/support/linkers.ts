/** @file Linkers of small models with a placement as on a device. */

import { compileModel } from '../../src/compile/compile.ts';
import { createLinker, type Linker } from '../../src/runtime/link/link.ts';
import type { Program, Sizes } from '../../src/runtime/program.ts';
import { planStorage } from '../../src/runtime/storage.ts';
import { CPU_DEVICE, type TinyOptions, tinyModel } from './tinyModels.ts';

export interface LinkedModel {
  readonly program: Program;
  readonly linker: Linker;
  readonly units: readonly string[];
  readonly sizes: Sizes;
}

/** A linker over a device that has room for everything. */
export function linkerOf(program: Program, sizes: Sizes): Linker {
  const { placement } = planStorage(program, sizes, { maxBufferSize: 2 ** 40, maxBinding: 2 ** 40 }, () => true);
  return createLinker(program, placement, sizes);
}

/** The largest run-time dimensions of a program. */
export const boundsOf = (program: Program): Sizes => Object.fromEntries(program.dims.map((d) => [d.name, d.bound]));

export function linkedModel(options: TinyOptions): LinkedModel {
  const traced = tinyModel(options);
  const { program } = compileModel(traced, { device: CPU_DEVICE });
  const sizes = boundsOf(program);
  return { program, linker: linkerOf(program, sizes), units: traced.units, sizes };
}

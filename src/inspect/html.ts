/** @file Makes the page of `ebb inspect --html`: a single file that asks the network for nothing. */

import { at } from '../errors.ts';
import { callsOf } from '../ir/module.ts';
import { pageAssets, pageFile } from '../page/file.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import type { Sizes } from '../runtime/program.ts';
import { graphOf } from './graph.ts';
import { layOut } from './graphLayout.ts';
import type { FunctionView, PageData } from './pageData.ts';
import { operandName } from './site.ts';
import type { Inspected } from './stages.ts';

/** Collects the data of the page for a compiled model. */
export async function pageData(x: Inspected, title: string, sizes: Sizes, pattern: Pattern): Promise<PageData> {
  const { program, stages } = x.compiled;
  /** By the index of a function that a call runs: its forward. */
  const forwardOf = new Map(program.calls.flatMap((c) => [[c.forward, c.forward] as const, ...c.backwards.map((b) => [b.function, c.forward] as const)]));
  const bounds = { ...stages.fuse.dims, ...sizes };
  const functions = await Promise.all(
    stages.fuse.funcs.map(async (func, i): Promise<FunctionView | null> => {
      const forward = forwardOf.get(i);
      return forward === undefined ? null : layOut(graphOf(func, at(stages.fuse.funcs, forward), bounds));
    }),
  );
  const operands = callsOf(x.traced.module).map((call) => call.operands.map((v) => operandName(x.traced, v)));
  return { title, sizes, program, functions, operands, pattern: Object.fromEntries(pattern) };
}

/** Writes the page as one file. @throws EbbError when the page has not been built */
export const pageHtml = (data: PageData): string => pageFile(`${data.title} · ebb inspect`, data, pageAssets(import.meta.url));

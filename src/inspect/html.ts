/** @file The page of `ebb inspect --html`: one file with its data, style and program inside; it asks the network for nothing. */

import { callsOf } from '../ir/module.ts';
import { pageAssets, pageFile } from '../page/file.ts';
import type { Pattern } from '../runtime/link/forms.ts';
import type { Sizes } from '../runtime/program.ts';
import { graphOf } from './graph.ts';
import { layOut } from './layout.ts';
import type { FunctionView, PageData } from './pageData.ts';
import { operandName } from './site.ts';
import type { Inspected } from './stages.ts';

/** What there is to know about a compiled model, for the page. */
export async function pageData(x: Inspected, title: string, sizes: Sizes, pattern: Pattern): Promise<PageData> {
  const { program, stages } = x.compiled;
  const forwardOf = new Map(program.calls.flatMap((c) => [[c.forward, c.forward] as const, ...c.backwards.map((b) => [b.function, c.forward] as const)]));
  const bounds = { ...stages.fuse.dims, ...sizes };
  const functions = await Promise.all(
    stages.fuse.funcs.map(async (func, i): Promise<FunctionView | null> => {
      const forward = stages.fuse.funcs[forwardOf.get(i) ?? -1];
      return forward ? layOut(graphOf(func, forward, bounds)) : null;
    }),
  );
  const operands = callsOf(x.traced.module).map((call) => call.operands.map((v) => operandName(x.traced, v)));
  return { title, sizes, program, functions, operands, pattern: Object.fromEntries(pattern) };
}

/** The page as one file. @throws EbbError when it has not been built */
export const pageHtml = (data: PageData): string => pageFile(`${data.title} · ebb inspect`, data, pageAssets(import.meta.url));

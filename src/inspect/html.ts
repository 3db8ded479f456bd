/** @file The page of `ebb inspect --html`: one file with its data, style and program inside; it asks the network for nothing. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EbbError } from '../errors.ts';
import { callsOf } from '../ir/module.ts';
import type { Pattern } from '../runtime/forms.ts';
import type { Sizes } from '../runtime/program.ts';
import { graphOf } from './graph.ts';
import { layOut } from './layout.ts';
import type { FunctionView, PageData } from './pageData.ts';
import { operandName } from './site.ts';
import type { Inspected } from './stages.ts';

/** What `npm run build` makes of src/inspect/page/. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
}

/** Reads the built page. @throws EbbError when it has not been built */
export function pageAssets(): PageAssets {
  const read = (name: string): string => {
    const path = fileURLToPath(new URL(`./${name}`, import.meta.url));
    try {
      return readFileSync(path, 'utf8');
    } catch {
      throw new EbbError(`${path} is missing; npm run build makes it`);
    }
  };
  return { script: read('page.js'), style: read('page.css') };
}

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

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** The page as one file. */
export function pageHtml(data: PageData, { script, style }: PageAssets): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escaped(data.title)} · ebb inspect</title>
<style>${style}</style>
</head>
<body>
<script type="application/json" id="data">${JSON.stringify(data).replace(/</g, '\\u003c')}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

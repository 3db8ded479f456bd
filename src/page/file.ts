/** @file Pages of a single file, which holds their data, style and program. They ask the network for nothing. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EbbError } from '../errors.ts';

/** The program and the style of a page, as `npm run build` bundles them. */
export interface PageAssets {
  readonly script: string;
  readonly style: string;
}

/** Reads the bundled page beside `module`, which is an import.meta.url. @throws EbbError when it has not been built */
export function pageAssets(module: string): PageAssets {
  const read = (name: string): string => {
    const path = fileURLToPath(new URL(`./${name}`, module));
    try {
      return readFileSync(path, 'utf8');
    } catch {
      throw new EbbError(`${path} is missing; npm run build makes it`);
    }
  };
  return { script: read('page.js'), style: read('page.css') };
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/**
 * Writes a page. Its program finds `data` as JSON in the element with the id `data` (browser/data.ts).
 * @param isServed whether it may ask the server that it comes from; a file asks nobody
 */
export function pageFile(title: string, data: unknown, { script, style }: PageAssets, isServed = false): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:${isServed ? "; connect-src 'self'" : ''}">
<link rel="icon" href="data:,">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<script type="application/json" id="data">${JSON.stringify(data).replace(/</g, '\\u003c')}</script>
<script type="module">${script}</script>
</body>
</html>
`;
}

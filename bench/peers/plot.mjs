/** Draws Vega-Lite specifications as SVG files. It reads a JSON list of {file, spec} from stdin. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import * as vega from 'vega';
import { compile } from 'vega-lite';

for (const { file, spec } of JSON.parse(await text(process.stdin))) {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${await view.toSVG()}\n`);
}

/** @file Draws Vega-Lite specifications as SVG files, by bench/peers/plot.mjs. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Spec = Readonly<Record<string, unknown>>;

/** What all specifications begin with. */
export const BASE: Spec = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white' };

export interface Plot {
  /** The name of its file. */
  readonly name: string;
  readonly spec: Spec;
}

/** Draws plots into `folder`, and returns the names of their files. @throws Error with the message of the plotting library */
export function drawSpecs(plots: readonly Plot[], folder: string): string[] {
  const script = fileURLToPath(new URL('peers/plot.mjs', import.meta.url));
  const input = JSON.stringify(plots.map(({ name, spec }) => ({ file: `${folder}/${name}`, spec })));
  const { status, stderr } = spawnSync(process.execPath, [script], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the plots could not be drawn: ${stderr}`);
  return plots.map((p) => p.name);
}

/** @file Vega-Lite specs drawn as SVG files; bench/peers/plot.mjs draws them. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Spec = Readonly<Record<string, unknown>>;

export const BASE: Spec = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white' };

export interface Plot {
  /** Of the file. */
  readonly name: string;
  readonly spec: Spec;
}

/** Draws into `folder`, and returns the files' names. @throws Error with what the plotting library said */
export function drawSpecs(plots: readonly Plot[], folder: string): string[] {
  const script = fileURLToPath(new URL('peers/plot.mjs', import.meta.url));
  const input = JSON.stringify(plots.map(({ name, spec }) => ({ file: `${folder}/${name}`, spec })));
  const { status, stderr } = spawnSync(process.execPath, [script], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the plots could not be drawn: ${stderr}`);
  return plots.map((p) => p.name);
}

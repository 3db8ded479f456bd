/** @file Which line of the model definition records an op: the first stack frame outside the library's tracing code. */

import type { Loc } from '../ir/types.ts';

// frames of the tracer itself, in sources and in the built package
const INTERNAL = /[\\/](trace|ir)[\\/][^\\/]+\.(ts|js)|node:internal/;
const FRAME = /\(?((?:file:\/\/)?[^\s()]+):(\d+):(\d+)\)?$/;

let enabled = false;

/** Locations cost a stack trace per op; compile and inspect switch them on. */
export function captureLocations(on: boolean): void {
  enabled = on;
}

export function callerLoc(): Loc | undefined {
  if (!enabled) return undefined;
  const frame = new Error().stack
    ?.split('\n')
    .slice(1)
    .find((line) => FRAME.test(line) && !INTERNAL.test(line));
  const match = frame ? FRAME.exec(frame.trim()) : null;
  if (!match) return undefined;
  const file =
    (match[1] ?? '')
      .replace(/^file:\/\//, '')
      .split(/[\\/]/)
      .pop() ?? '';
  return { file, line: Number(match[2]), column: Number(match[3]) };
}

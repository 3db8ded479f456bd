/** @file Finds the line of the model definition that records an op: that of the innermost stack frame outside the library's tracing code. */

import type { Loc } from '../ir/types.ts';

const plainPath = (url: string): string =>
  (url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url).replace(/\\/g, '/').replace(/^\/(?=[A-Za-z]:)/, '');

// The tracer's own frames lie in these folders: in `src`, or in `dist` of the built package, whose stacks name `src` if they are source-mapped.
const ROOT = plainPath(new URL('../../', import.meta.url).href);
const ROOMS = /^(?:src|dist)\/(?:trace|ir|definition)\//;
const FRAME = /^\s*at (?:.* \()?(?:async )?(.+?):(\d+):(\d+)\)?$/;

/** The parts that models are made of. An op in one of them is shown where the part is used, as far as that is a line of some model. */
const PARTS = /^(?:src|dist)\/models\/[^/]+$/;
/** What calls a model's build function: frames behind it are none of the model's. */
const TRACER = /^(?:src|dist)\/trace\/trace\.[jt]s$/;

const FRAMES = 14;

/** Maps a position in running code to the position in the source that it was made from. */
export type SourceMapper = (line: number, column: number) => { readonly line: number; readonly column: number };

// Both are state of the module because V8's stacks are state of the process: an op may be recorded, and misused, where no trace is in progress
// (while a definition is imported), and a stack is read long after it was kept. A file that is read again replaces its own mapper.
let enabled = false;
const mappers = new Map<string, SourceMapper>();

/** Sets whether ops record their source lines, which costs a stack trace per op: compile and inspect switch it on. Returns the previous setting. */
export function captureLocations(on: boolean): boolean {
  const before = enabled;
  enabled = on;
  return before;
}

/** Maps positions in stack frames of `path` through `mapper`, for code that runs under this name but was made from the file. */
export function mapSource(path: string, mapper: SourceMapper): void {
  mappers.set(plainPath(path), mapper);
}

const isOf = (files: RegExp, path: string): boolean => path.startsWith(ROOT) && files.test(path.slice(ROOT.length));

function internal(path: string): boolean {
  return path.startsWith('node:') || path === '<anonymous>' || isOf(ROOMS, path);
}

const pathOfFrame = (text: string): string => plainPath(FRAME.exec(text)?.[1] ?? '');

/** The line of a model that a stack goes through: where it uses a part of the library's, else the part's own line. */
function modelFrame(stack: string | undefined): Loc | undefined {
  const frames = stack?.split('\n') ?? [];
  const end = frames.findIndex((text) => isOf(TRACER, pathOfFrame(text)));
  const build = end < 0 ? frames : frames.slice(0, end);
  return userFrame(build.join('\n'), (path) => !internal(path) && !isOf(PARTS, path)) ?? userFrame(stack);
}

/** The innermost frame of a stack whose path is accepted: by default the first outside the library's tracing code. */
export function userFrame(stack: string | undefined, accept: (path: string) => boolean = (path) => !internal(path)): Loc | undefined {
  for (const text of stack?.split('\n') ?? []) {
    const match = FRAME.exec(text);
    const path = plainPath(match?.[1] ?? '');
    if (!match || !accept(path)) continue;
    const [line, column] = [Number(match[2]), Number(match[3])];
    const at = mappers.get(path)?.(line, column) ?? { line, column };
    return { file: path.split('/').at(-1) ?? path, ...at, path };
  }
  return undefined;
}

/** Keeps the current stack, which costs little, and returns a function that finds the line being traced in it. */
export function callSite(): () => Loc | undefined {
  const { stackTraceLimit } = Error;
  // This is deeper than any function of ./nn.ts, ./math.ts, ./image.ts and ../models calls, and no deeper, since each frame costs time for each parameter.
  Error.stackTraceLimit = FRAMES;
  const error = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  let found: Loc | undefined | null = null;
  return () => {
    if (found === null) found = modelFrame(error.stack);
    return found;
  };
}

export function callerLoc(): Loc | undefined {
  return enabled ? callSite()() : undefined;
}

export function locText(loc: Loc): string {
  return `${loc.file}:${loc.line}:${loc.column}`;
}

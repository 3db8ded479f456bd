/** @file Which pipelines of a program its steps can ask for; no others are compiled. */

import type { CallDecl, Program } from './program.ts';

/** A use of a parameter, or of some rows of it, by a call. */
interface ParamUse {
  readonly call: number;
  readonly param: number;
  readonly offset?: number;
}

/** The uses of each parameter, by its index. */
function usesOf(calls: readonly CallDecl[]): ReadonlyMap<number, readonly ParamUse[]> {
  const uses = new Map<number, ParamUse[]>();
  for (const [call, { arguments: given }] of calls.entries())
    for (const argument of given) if (argument.kind === 'param') uses.set(argument.param, [...(uses.get(argument.param) ?? []), { ...argument, call }]);
  return uses;
}

/** Backward functions that may find a gradient written before in the step: by another micro-batch, or by a later call that uses the same parameter. */
function addingFunctions({ calls }: Pick<Program, 'calls'>, micros: number): ReadonlySet<number> {
  const uses = usesOf(calls);
  const usedLater = ({ param, offset }: Omit<ParamUse, 'call'>, call: number): boolean =>
    (uses.get(param) ?? []).some((use) => use.call > call && (offset === undefined || use.offset === undefined || use.offset === offset));
  return new Set(
    calls.flatMap((call, i) =>
      call.backwards.flatMap(({ function: fn, gradientOf }) => {
        const writtenBefore = gradientOf.some((k) => {
          const argument = call.arguments[k];
          return argument?.kind === 'param' && usedLater(argument, i);
        });
        return micros > 1 || writtenBefore ? [fn] : [];
      }),
    ),
  );
}

/**
 * Indices of the pipelines that steps of up to `micros` micro-batches can ask for. Those that add to gradients are needed where a gradient
 * may have been written before. Probes alone copy and subtract; zeros stand in where one backward serves patterns that differ in what arrives.
 */
export function neededPipelines(program: Pick<Program, 'calls' | 'functions' | 'updates'>, micros: number, probes: boolean): ReadonlySet<number> {
  const adding = addingFunctions(program, micros);
  const grouped = program.calls.some((call) => call.grouped === true);
  const { assign, subtract, zero } = program.updates;
  const idle = new Set(probes ? [] : [assign, subtract, ...(grouped ? [] : [zero])]);
  return new Set(
    program.functions.flatMap((fn, f) =>
      idle.has(f) ? [] : fn.dispatches.flatMap((d) => [d.pipeline, ...(adding.has(f) && d.adding !== undefined ? [d.adding] : [])]),
    ),
  );
}

/** @file `fuse` puts the ops of a function into groups, each of which becomes one kernel.
 *
 * An anchor (dot, reduction, attention, …) starts a group. A pointwise op joins the group of its latest operand if it is computed
 * element for element from it (an epilogue). Other ops are computed where they are read (a prologue), or get a `map` group of their own
 * if their values must lie in a buffer: results, operands of kernel ops, costly or repeated operands of dots.
 * No group binds more than `maxBuffers` buffers.
 */

import { EbbError } from '../../errors.ts';
import { fused } from '../../ir/ops/control.ts';
import { opDef } from '../../ir/ops/index.ts';
import type { Func, Op, Value } from '../../ir/types.ts';
import { bufferedValues } from './buffered.ts';
import { clusterOps } from './cluster.ts';
import { drafts, mergeMaps } from './drafts.ts';
import { bindings, exclude, needlessOutputs } from './limits.ts';
import { type Draft, type Exclusions, type FuseOptions, producers } from './types.ts';

/** Fuses `func` (primitives and kernel ops) into `fused` ops. @throws EbbError when a single op binds more buffers than `maxBuffers`. */
export function fuse(func: Func, options: FuseOptions): Func {
  const producer = producers(func);
  const position = new Map(func.ops.map((op, i) => [op, i]));
  const scalars = new Set(func.params.filter((p) => p.role === 'scalar' && p.value.type.shape.length === 0).map((p) => p.value));
  const exclusions: Exclusions = { unjoined: new Set(), buffered: new Set() };
  let groups: Draft[] = [];
  for (let round = 0; ; round++) {
    const clustering = clusterOps(func, producer, exclusions);
    const buffered = bufferedValues(func, producer, clustering, exclusions, options.widenOnce ?? 0);
    groups = mergeMaps(drafts(func, producer, clustering, buffered), { ...options, position, scalars });
    const over = groups.find((g) => bindings(g, scalars, options.parts) > options.maxBuffers);
    if (!over) {
      const idle = needlessOutputs(func, groups, clustering, producer).filter((op) => !exclusions.unjoined.has(op));
      if (idle.length === 0) break;
      for (const op of idle) exclusions.unjoined.add(op);
      continue;
    }
    const members = clustering.clusters.find((g) => g.anchor === over.anchor)?.members ?? new Set<Op>();
    if (!exclude(over, exclusions, producer, members) || round > 200) {
      throw new EbbError(
        `@${func.name}: ${over.anchor.name} binds ${bindings(over, scalars, options.parts)} buffers, the device allows ${options.maxBuffers}; choose an adapter with higher limits, or a smaller batch or length`,
      );
    }
  }
  const ops: Op[] = groups.map((g) => ({
    name: fused.name,
    operands: g.reads,
    attrs: { kind: g.kind, name: groupName(g) },
    results: g.outputs,
    body: { params: g.reads, ops: g.ops, results: g.outputs },
  }));
  return { ...func, ops: [...ops, ...aliases(func, producer, groups)] };
}

/** The reshapes that stay outside of groups because results need them: they copy nothing of what groups write. */
function aliases(func: Func, producer: ReadonlyMap<Value, Op>, groups: readonly Draft[]): Op[] {
  const written = new Set(groups.flatMap((g) => g.outputs));
  const known = new Set<Value>([...written, ...func.params.map((p) => p.value)]);
  const out: Op[] = [];
  const need = (v: Value): void => {
    const op = producer.get(v);
    if (known.has(v) || !op) return;
    for (const o of op.operands) need(o);
    known.add(v);
    out.push(op);
  };
  for (const { value } of func.results) need(value);
  return out;
}

function groupName({ kind, anchor, ops, outputs }: Draft): string {
  if (kind === 'kernel') return anchor.name;
  const widening = ops.find((op) => opDef(op.name).widens);
  return `${kind}_${outputs.map((v) => v.name.replace(/[^a-zA-Z0-9]/g, '_')).join('_')}${widening ? `_${widening.name}` : ''}`.slice(0, 60);
}

export type { FuseOptions } from './types.ts';

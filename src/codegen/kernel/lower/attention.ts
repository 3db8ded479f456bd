/** @file Attention ops on the streaming attention kernels. */

import { at } from '../../../errors.ts';
import { gradientOperands } from '../../../ir/ops/attentionGradients.ts';
import { aliasOf } from '../../../ir/ops/index.ts';
import { type Attrs, type Dim, dimSize, type Op, type Value } from '../../../ir/types.ts';
import { type AttentionSpec, attentionForward, attentionKeyGradient, attentionQueryGradient, attentionStats } from '../attention/kernels.ts';
import { type AttentionSchedule, fitsAttention, isAttentionSchedule, plainAttention } from '../attention/schedule.ts';
import type { AttentionKernel, AttentionWork } from '../attention/work.ts';
import { param } from '../expr.ts';
import type { Kernel } from '../ir.ts';
import { lowerChosen } from './choice.ts';
import { dimOf } from './emit.ts';
import type { Group } from './group.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { problemKey } from './problem.ts';

/** Through reshapes inside the group to the value that has the buffer. */
export function bufferOf(v: Value, group: Group): Value {
  const op = group.producer.get(v);
  const of = op && aliasOf(op);
  return of ? bufferOf(of, group) : v;
}

interface SpecOperands {
  readonly q: Value;
  readonly k: Value;
  readonly position?: Value | undefined;
  readonly angles?: Value | undefined;
}

/** `shared`: keys have the segments of the queries. */
function specOf(name: string, { q, k, position, angles }: SpecOperands, shared: boolean, attrs: Attrs, options: LowerOptions): AttentionSpec {
  const [batch = 1, queries = 1, heads = 1, headDim = 1] = q.type.shape;
  const [, keys = 1, kvHeads = 1] = k.type.shape;
  const size = (dim: Dim): { of: readonly Dim[] } => ({ of: [dim] });
  const word = position && options.scalarWord.get(position);
  return {
    name,
    dims: { batch: size(batch), queries: size(queries), keys: size(keys) },
    heads: Number(heads),
    kvHeads: Number(kvHeads),
    headDim: Number(headDim),
    scale: Number(attrs['scale'] ?? 1),
    causal: attrs['causal'] === true,
    window: typeof attrs['window'] === 'number' ? attrs['window'] : null,
    softCap: typeof attrs['softCap'] === 'number' ? attrs['softCap'] : null,
    segments: shared ? 'shared' : true,
    rotation: angles ? { positions: Number(angles.type.shape[0]) } : null,
    position: word === undefined ? null : param(word, 'position'),
    dim: dimOf(options.dims),
  };
}

/** What a schedule is chosen by. */
function workOf(kernel: AttentionKernel, op: Op, options: LowerOptions): AttentionWork {
  const [q, k] = op.operands;
  if (!q || !k) throw new Error(`${op.name} has no operands`);
  const size = (value: Value, axis: number): number => dimSize(at(value.type.shape, axis), options.sizes);
  const [own, other] = kernel === 'keyGradient' ? [k, q] : [q, k];
  return { kernel, rows: size(own, 1), others: size(other, 1), headDim: size(q, 3), sets: size(q, 0) * size(own, 2) };
}

/** One of the attention kernels, as the options' chooser wants it cut. */
function lowerCut(
  kernel: AttentionKernel,
  group: Group,
  op: Op,
  options: LowerOptions,
  values: readonly (Value | undefined)[],
  build: (schedule: AttentionSchedule) => Kernel,
): Lowered {
  const work = workOf(kernel, op, options);
  const { attention: schedules } = options.schedules;
  const standard = schedules.standard(options.device, work);
  const [queries, keys] = kernel === 'keyGradient' ? [work.others, work.rows] : [work.rows, work.others];
  return lowerChosen<AttentionSchedule>(
    {
      kind: 'attention',
      name: `${op.name} ${queries}×${keys}×${work.headDim}`,
      key: problemKey(group, options.sizes),
      standard,
      plain: plainAttention(standard),
      candidates: schedules.candidates(options.device, work),
      fits: (schedule): schedule is AttentionSchedule => isAttentionSchedule(schedule) && fitsAttention(schedule, options.device, work.headDim),
      lower: (schedule) => lowered(build(schedule), group, values),
    },
    options,
  );
}

function lowered(kernel: Kernel, group: Group, values: readonly (Value | undefined)[]): Lowered {
  return { kernel, values: values.map((v) => bufferOf(v as Value, group)) };
}

export function lowerAttention(group: Group, op: Op, options: LowerOptions): Lowered {
  const [q, k, v, segq, segk, position] = op.operands;
  if (!q || !k) throw new Error('attention has no operands');
  const spec = specOf(group.name, { q, k, position }, segq === segk, op.attrs, options);
  return lowerCut('forward', group, op, options, [q, k, v, ...segmentValues(segq, segk), ...op.results], (schedule) => attentionForward(spec, schedule));
}

/** One segment tensor is bound once. */
function segmentValues(q: Value | undefined, k: Value | undefined): (Value | undefined)[] {
  return q === k ? [q] : [q, k];
}

export function lowerAttentionStats(group: Group, op: Op, options: LowerOptions): Lowered {
  const [out, d, lse, segq] = op.operands;
  if (!out || !d) throw new Error('attention_stats has no operands');
  const kernel = attentionStats(specOf(group.name, { q: out, k: out }, true, { scale: 1 }, options));
  return lowered(kernel, group, [d, out, lse, segq, ...op.results]);
}

function gradient(kernel: AttentionKernel, build: (spec: AttentionSpec, schedule: AttentionSchedule) => Kernel) {
  return (group: Group, op: Op, options: LowerOptions): Lowered => {
    const from = gradientOperands(op.operands, op.attrs);
    const { q, k, v, d, stats, segk, angles } = from;
    const spec = specOf(group.name, from, segk === undefined, op.attrs, options);
    const values = [q, k, v, d, stats, ...[segk, angles].flatMap((x) => x ?? []), ...op.results];
    return lowerCut(kernel, group, op, options, values, (schedule) => build(spec, schedule));
  };
}

export const lowerAttentionDq = gradient('queryGradient', attentionQueryGradient);
export const lowerAttentionDkv = gradient('keyGradient', attentionKeyGradient);

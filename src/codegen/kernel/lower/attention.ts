/** @file Attention ops on the streaming attention kernels. */

import { at, invariant } from '../../../errors.ts';
import { attentionOperands } from '../../../ir/ops/attention.ts';
import { gradientOperands, statsOperands } from '../../../ir/ops/attentionGradients.ts';
import { aliasOf } from '../../../ir/ops/index.ts';
import { type Attrs, dimSize, type Op, type Value } from '../../../ir/types.ts';
import type { AttentionBuffer } from '../attention/frame.ts';
import { attentionForward, attentionKeyGradient, attentionQueryGradient, attentionStats } from '../attention/kernels.ts';
import { type AttentionSchedule, fitsAttention, isAttentionSchedule, plainAttention } from '../attention/schedule.ts';
import type { AttentionSpec } from '../attention/spec.ts';
import type { AttentionKernel, AttentionWork } from '../attention/work.ts';
import { param } from '../expr.ts';
import type { Kernel } from '../ir.ts';
import type { Size } from '../size.ts';
import { lowerChosen } from './choice.ts';
import { dimOf } from './emit.ts';
import type { Group } from './group.ts';
import type { LowerKernelOp } from './kernelOp.ts';
import type { Lowered } from './lowered.ts';
import type { LowerOptions } from './options.ts';
import { problemKey } from './problem.ts';

/** Through reshapes inside the group to the value that has the buffer. */
export function bufferOf(v: Value, group: Group): Value {
  const op = group.producer.get(v);
  const of = op && aliasOf(op);
  return of ? bufferOf(of, group) : v;
}

/** Tensors that say what is computed: q and k, or others of their shapes. */
interface Shaping {
  readonly q: Value;
  readonly k: Value;
  readonly position?: Value | undefined;
  readonly angles?: Value | undefined;
}

/** @param segments see `AttentionSpec` */
function specOf(name: string, { q, k, position, angles }: Shaping, segments: AttentionSpec['segments'], attrs: Attrs, options: LowerOptions): AttentionSpec {
  const size = (value: Value, axis: number): Size => ({ of: [at(value.type.shape, axis)] });
  const fixed = (value: Value, axis: number): number => Number(at(value.type.shape, axis));
  const word = position && options.scalarWord.get(position);
  return {
    name,
    dims: { batch: size(q, 0), queries: size(q, 1), keys: size(k, 1) },
    heads: fixed(q, 2),
    kvHeads: fixed(k, 2),
    headDim: fixed(q, 3),
    scale: Number(attrs['scale']),
    causal: attrs['causal'] === true,
    window: typeof attrs['window'] === 'number' ? attrs['window'] : null,
    softCap: typeof attrs['softCap'] === 'number' ? attrs['softCap'] : null,
    segments,
    rotation: angles ? { positions: fixed(angles, 0) } : null,
    position: word === undefined ? null : param(word, 'position'),
    dim: dimOf(options.dims),
  };
}

/** The values behind the buffers of a kernel, by the buffers' names. */
type Bound = { readonly [N in AttentionBuffer]?: Value | undefined };

/** The kernel with the value behind each of its buffers; every value given is behind one. */
function bound(kernel: Kernel, group: Group, values: Bound): Lowered {
  const named = new Map(Object.entries(values).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  const names = kernel.buffers.map(({ name }) => name);
  const stray = [...named.keys()].find((name) => !names.includes(name));
  invariant(stray === undefined, `${kernel.name} binds no buffer ${stray}`);
  return {
    kernel,
    values: names.map((name) => {
      const value = named.get(name);
      invariant(value !== undefined, `${kernel.name}: nothing is bound to ${name}`);
      return bufferOf(value, group);
    }),
  };
}

/** What a schedule is chosen by. */
function workOf(kernel: AttentionKernel, { q, k }: Pick<Shaping, 'q' | 'k'>, options: LowerOptions): AttentionWork {
  const size = (value: Value, axis: number): number => dimSize(at(value.type.shape, axis), options.sizes);
  const [own, other] = kernel === 'keyGradient' ? [k, q] : [q, k];
  return { kernel, rows: size(own, 1), others: size(other, 1), headDim: size(q, 3), sets: size(q, 0) * size(own, 2) };
}

/** One of the attention kernels before it is cut. */
interface Uncut {
  readonly kernel: AttentionKernel;
  readonly shaping: Shaping;
  readonly values: Bound;
  readonly build: (schedule: AttentionSchedule) => Kernel;
}

/** The kernel as the options' chooser wants it cut. */
function lowerCut(group: Group, op: Op, options: LowerOptions, { kernel, shaping, values, build }: Uncut): Lowered {
  const work = workOf(kernel, shaping, options);
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
      lower: (schedule) => bound(build(schedule), group, values),
    },
    options,
  );
}

export function lowerAttention(group: Group, op: Op, options: LowerOptions): Lowered {
  const from = attentionOperands(op.operands, op.attrs);
  const { q, k, v, segq, segk } = from;
  const [out, lse] = op.results;
  const shared = segq === segk;
  const spec = specOf(group.name, from, shared ? 'shared' : true, op.attrs, options);
  const values = { q, k, v, segQ: segq, segK: shared ? undefined : segk, out, lse };
  return lowerCut(group, op, options, { kernel: 'forward', shaping: from, values, build: (schedule) => attentionForward(spec, schedule) });
}

export function lowerAttentionStats(group: Group, op: Op, options: LowerOptions): Lowered {
  const { out, d, lse, segq } = statsOperands(op.operands, op.attrs);
  const [stats] = op.results;
  const spec = specOf(group.name, { q: out, k: out }, 'shared', { scale: 1 }, options);
  return bound(attentionStats(spec), group, { dout: d, out, lse, segQ: segq, stats });
}

/** Which gradients of attention are computed, and behind which buffers they are. */
function lowerGradient(
  kernel: Exclude<AttentionKernel, 'forward'>,
  results: (op: Op) => Bound,
  build: (spec: AttentionSpec, schedule: AttentionSchedule) => Kernel,
): LowerKernelOp {
  return (group, op, options) => {
    const from = gradientOperands(op.operands, op.attrs);
    const { q, k, v, d, stats, segk, angles } = from;
    const spec = specOf(group.name, from, segk === undefined ? 'shared' : true, op.attrs, options);
    const values = { q, k, v, dout: d, stats, segK: segk, angles, ...results(op) };
    return lowerCut(group, op, options, { kernel, shaping: from, values, build: (schedule) => build(spec, schedule) });
  };
}

export const lowerAttentionDq = lowerGradient('queryGradient', ({ results: [dq] }) => ({ dq }), attentionQueryGradient);
export const lowerAttentionDkv = lowerGradient('keyGradient', ({ results: [dk, dv] }) => ({ dk, dv }), attentionKeyGradient);

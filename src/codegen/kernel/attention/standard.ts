/** @file Which attention schedule a device starts with. */

import { type DeviceTraits, type GpuTraits, kindTraits } from '../device.ts';
import type { AttentionSchedule } from './spec.ts';
import { mergeBytes } from './splits.ts';

export type AttentionKernel = 'forward' | 'queryGradient' | 'keyGradient';

/**
 * vec4 registers a row takes per chunk (what it holds and what it sums up), and a lane's rows at most. Of a step on an H200, 12 layers of 64 heads of 64 by
 * 512 tokens, milliseconds: forward 5.1 with 2 rows a lane, 5.8 with 4; dQ 4.2 with 4 rows in two splits, 5.3 with 2 in one; dK/dV 4.4 with 1 row, 9.9 with 2.
 */
const HELD: Record<AttentionKernel, { readonly each: number; readonly most: number }> = {
  forward: { each: 2, most: 16 },
  queryGradient: { each: 3, most: 48 },
  keyGradient: { each: 4, most: 16 },
};

/** What a kernel is cut by, typical values. */
export interface AttentionSizes {
  /** Rows: queries (keys for keyGradient). */
  readonly rows: number;
  /** What each row walks over. */
  readonly others: number;
  readonly headDim: number;
  /** Sets of rows side by side: batch × heads (batch × key heads for keyGradient). */
  readonly sets: number;
}

/**
 * A sensible schedule.
 * Measured causal in a step of 2 × 256 tokens, 4 heads of 64, GFLOP/s forward, dQ, dK/dV: lavapipe 28, 23, 23 (8, 8, 9 where every lane loads the
 * rows itself), SwiftShader 2.6, 2.7, 2.7. `rows` took LLVM 13–45 s to compile.
 */
export function attentionSchedule(kernel: AttentionKernel, device: DeviceTraits, sizes: AttentionSizes): AttentionSchedule {
  const traits = kindTraits(device);
  const chunks = Math.ceil(sizes.headDim / 4);
  const lanes = device.subgroupSize;
  if (traits.lanesInTurn && lanes !== null) {
    const perLane = Math.ceil((sizes.headDim % 4 === 0 ? chunks : sizes.headDim) / lanes);
    const { held, most } = traits.spreadRows[kernel === 'forward' ? 'forward' : 'gradient'];
    return { kind: 'subgroup', lanes, rows: power(Math.min(most, held / perLane, sizes.rows)), splits: 1, dimLanes: 1 };
  }
  if (traits.lanesInTurn) return { kind: 'rows', lanes: 8, rows: 1, splits: 1, dimLanes: 1 };
  const dimLanes = !device.subgroups || sizes.headDim % 4 !== 0 ? 1 : ([4, 2, 1].find((count) => chunks % count === 0) ?? 1);
  if (kernel === 'forward' && sizes.rows * dimLanes * 4 <= WIDEST) return decode(device, sizes, dimLanes);
  return filling(kernel, device, traits, sizes, dimLanes);
}

/** The largest power of two not above `value` up to which all are allowed, at least 1. */
function power(value: number, allowed: (count: number) => boolean = () => true): number {
  let result = 1;
  while (result * 2 <= value && allowed(result * 2)) result *= 2;
  return result;
}

/** Invocations that a workgroup has at most. */
export const mostInvocations = (device: DeviceTraits): number => Math.min(256, device.maxInvocations);

/** Few queries: lanes go along the keys, as many as workgroup memory can merge. */
function decode(device: DeviceTraits, { others, headDim }: AttentionSizes, dimLanes: number): AttentionSchedule {
  const fits = (splits: number): boolean => mergeBytes({ lanes: 1, splits, dimLanes }, headDim) <= device.maxWorkgroupStorage;
  const splits = power(Math.min(32, others, mostInvocations(device) / dimLanes), fits);
  return { kind: 'rows', lanes: 1, rows: 1, splits, dimLanes };
}

/** Invocations along the rows of a workgroup, at most and at least: more in one read the same keys, fewer make more workgroups and smaller causal tiles. */
const WIDEST = 64;
export const NARROWEST = 16;

/** A walk in more parts, or in shorter ones, costs more to merge than it gains. */
const MOST_SPLITS = 16;
const SHORTEST_WALK = 8;

/**
 * As many lanes in flight as the GPU wants. Rows a lane make loads cheap, so they come first, and give way only where splits alone do not fill it;
 * then splits; then workgroups get narrower until every core has some.
 */
function filling(kernel: AttentionKernel, device: DeviceTraits, { busy }: GpuTraits, sizes: AttentionSizes, dimLanes: number): AttentionSchedule {
  const invocations = mostInvocations(device) / dimLanes;
  const [widest, narrowest] = [WIDEST / dimLanes, NARROWEST / dimLanes];
  const fits = (lanes: number, splits: number): boolean => mergeBytes({ lanes, splits, dimLanes }, sizes.headDim) <= device.maxWorkgroupStorage;
  const mostSplits = power(Math.min(MOST_SPLITS, sizes.others / SHORTEST_WALK, invocations / narrowest), (splits) => fits(narrowest, splits));
  const inFlight = (rows: number): number => sizes.sets * Math.ceil(sizes.rows / rows) * dimLanes;
  const registers = (HELD[kernel].each * Math.ceil(sizes.headDim / 4)) / dimLanes;
  let rows = power(Math.min(4, HELD[kernel].most / registers, sizes.rows / narrowest));
  while (rows > 1 && inFlight(rows) * mostSplits < busy.lanes) rows /= 2;
  let splits = 1;
  while (splits < mostSplits && inFlight(rows) * splits < 2 * busy.lanes) splits *= 2;
  let lanes = power(Math.min(widest, invocations / splits, sizes.rows / rows), (count) => fits(count, splits));
  while (lanes > narrowest && sizes.sets * Math.ceil(sizes.rows / (rows * lanes)) < 2 * busy.groups) lanes /= 2;
  return { kind: 'rows', lanes, rows, splits, dimLanes };
}

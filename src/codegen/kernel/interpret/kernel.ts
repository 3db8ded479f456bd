/** @file Runs a kernel on typed arrays, without a GPU, for tests. Invocations run one by one up to their next barrier or subgroup
 * operation, so that a missing barrier shows, and every index is checked. */

import { invariant } from '../../../errors.ts';
import type { Kernel } from '../ir.ts';
import { sizeValue } from '../size.ts';
import { compileBlock } from './blocks.ts';
import { type Context, type Data, interpreterContext } from './context.ts';
import type { Lane } from './lane.ts';
import { runWorkgroup } from './workgroup.ts';

export interface InterpretInput {
  /** The uniform block; missing words are 0. */
  readonly params?: Uint32Array;
  /** By name, every buffer of the kernel; vec4 buffers hold four numbers an element. Written in place. */
  readonly buffers: Readonly<Record<string, Data>>;
  /** Values of the grid's dimension symbols. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly subgroupSize?: number;
  /** Whether the last invocation runs first. That shows a missing barrier where a later invocation overwrites what an earlier one has yet to read. */
  readonly reverse?: boolean;
}

/**
 * Runs every workgroup of the kernel's grid. Throws on an index out of bounds (naming buffer, index and length) and when
 * invocations of a workgroup meet different barriers or subgroup operations.
 */
export function interpret(kernel: Kernel, input: InterpretInput): void {
  const { params = new Uint32Array(0), buffers, dims = {}, subgroupSize = 4, reverse = false } = input;
  const { name } = kernel;
  for (const buffer of kernel.buffers) invariant(buffers[buffer.name] !== undefined, `${name}: no data for buffer ${buffer.name}`);
  const context = interpreterContext(kernel, params, buffers);
  const body = compileBlock(kernel.body, context);
  const grid = kernel.grid.map((axis) => Math.ceil(sizeValue(axis, dims) / axis.per)) as [number, number, number];
  const [x, y, z] = grid;
  for (let gz = 0; gz < z; gz++)
    for (let gy = 0; gy < y; gy++)
      for (let gx = 0; gx < x; gx++) runWorkgroup(lanesOf(kernel, context, { group: [gx, gy, gz], grid, subgroupSize }), body, { name, subgroupSize, reverse });
}

interface WorkgroupPlace {
  /** Which workgroup it is, of how many. */
  readonly group: readonly [number, number, number];
  readonly grid: readonly [number, number, number];
  readonly subgroupSize: number;
}

/** The invocations of a workgroup before they start. */
function lanesOf({ workgroup }: Kernel, { newShared }: Context, { group, grid, subgroupSize }: WorkgroupPlace): readonly Lane[] {
  const [wx, wy, wz] = workgroup;
  const shared = newShared();
  return Array.from({ length: wx * wy * wz }, (_, index) => ({
    vars: [],
    arrays: [],
    shared,
    pending: new Map(),
    builtins: {
      localX: index % wx,
      localY: Math.floor(index / wx) % wy,
      localZ: Math.floor(index / (wx * wy)),
      localIndex: index,
      workgroupX: group[0],
      workgroupY: group[1],
      workgroupZ: group[2],
      numWorkgroupsX: grid[0],
      subgroupInvocation: index % subgroupSize,
      subgroupSize,
    },
  }));
}

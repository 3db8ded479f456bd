/** @file What dispatches bind: a bind group for each choice of addresses, made when it is first asked for and found again by numbers. */

import { at, invariant } from '../../errors.ts';
import { BLOCK_BYTES, type Launch, type Memory } from '../device.ts';
import { type Address, bufferOf, offsetOf } from '../link/address.ts';
import type { WebgpuBuffer } from './buffers.ts';
import type { WebgpuPipeline } from './pipelines.ts';

/** Bind groups by the numbers that say what they bind. */
interface GroupTree {
  readonly next: Map<number, GroupTree>;
  group?: GPUBindGroup;
}

export interface WebgpuLaunch extends Launch {
  readonly pipeline: WebgpuPipeline;
  readonly memory: Memory;
  /** The bytes of each range. */
  readonly bytes: readonly number[];
  readonly groups: GroupTree;
}

/** A launch of a pipeline; its bind groups are made later. */
export function makeLaunch(pipeline: WebgpuPipeline, memory: Memory, bytes: readonly number[]): WebgpuLaunch {
  invariant(bytes.length === pipeline.dynamic.length, `kernel ${pipeline.name} is given ${bytes.length} ranges, it takes ${pipeline.dynamic.length}`);
  return { pipeline, memory, bytes, groups: { next: new Map() } };
}

/** Ranges whose offsets are given at dispatch are told apart by their buffers' ids, this many to a digit. */
const IDS = 4096;

/** Returns the branch that `key` leads to, and makes it where there is none. */
function branch(tree: GroupTree, key: number): GroupTree {
  const known = tree.next.get(key);
  if (known) return known;
  const made: GroupTree = { next: new Map() };
  tree.next.set(key, made);
  return made;
}

/**
 * The bind group of a dispatch.
 * @param offsets is filled with what is given at dispatch: the offset of the parameter block, and of each range that moves
 */
export function bindGroup(gpu: GPUDevice, launch: WebgpuLaunch, block: number, addresses: readonly Address[], offsets: Uint32Array): GPUBindGroup {
  const { dynamic } = launch.pipeline;
  offsets[0] = block * BLOCK_BYTES;
  let moving = 1;
  let tree = launch.groups;
  let ids = 1;
  for (let i = 0; i < dynamic.length; i++) {
    const address = addresses[i];
    invariant(address !== undefined, 'a dispatch is given fewer ranges than its kernel binds');
    if (!dynamic[i]) tree = branch(tree, address);
    else {
      offsets[moving++] = offsetOf(address);
      if (ids < IDS ** 3) ids = ids * IDS + bufferOf(address);
      else {
        tree = branch(tree, ids);
        ids = IDS + bufferOf(address);
      }
    }
  }
  tree = branch(tree, ids);
  tree.group ??= makeGroup(gpu, launch, addresses);
  return tree.group;
}

function makeGroup(gpu: GPUDevice, { pipeline, memory, bytes }: WebgpuLaunch, addresses: readonly Address[]): GPUBindGroup {
  return gpu.createBindGroup({
    layout: pipeline.layout,
    entries: [
      { binding: 0, resource: { buffer: (memory.blocks as WebgpuBuffer).gpu, offset: 0, size: BLOCK_BYTES } },
      ...bytes.map((size, i): GPUBindGroupEntry => {
        const address = at(addresses, i);
        const buffer = memory.buffers[bufferOf(address)];
        invariant(buffer !== undefined, `range ${i} of kernel ${pipeline.name} lies in no buffer`);
        return { binding: i + 1, resource: { buffer: (buffer as WebgpuBuffer).gpu, offset: pipeline.dynamic[i] ? 0 : offsetOf(address), size } };
      }),
    ],
  });
}

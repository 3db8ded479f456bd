/** @file A workgroup on the interpreter: its invocations run one by one up to what they wait for, and go on together. */

import { at, invariant } from '../../../errors.ts';
import type { LaneValue } from './arithmetic.ts';
import type { Call, LaneStep, Wait } from './blocks.ts';
import type { Lane } from './lane.ts';

/** An invocation that may wait. */
interface Thread {
  readonly run: Generator<Wait, boolean, LaneValue>;
  next: IteratorResult<Wait, boolean>;
}

export interface WorkgroupOptions {
  /** The kernel's name, for errors. */
  readonly name: string;
  readonly subgroupSize: number;
  /** Whether the last invocation runs first. */
  readonly reverse: boolean;
}

export function runWorkgroup(lanes: readonly Lane[], body: LaneStep, options: WorkgroupOptions): void {
  if ('plain' in body) {
    for (const lane of lanes) body.plain(lane);
    return;
  }
  const inOrder = <T>(items: readonly T[]): readonly T[] => (options.reverse ? items.toReversed() : items);
  const start = (lane: Lane): Thread => {
    const run = body.waits(lane);
    return { run, next: run.next() };
  };
  const threads = inOrder(inOrder(lanes).map(start));
  while (threads.some(({ next }) => !next.done)) if (!passSubgroups(threads, options)) passBarrier(inOrder(threads), options);
}

const waitOf = ({ next }: Thread): Wait | null => (next.done === true ? null : next.value);

/** Lets every subgroup go on whose invocations wait for an operation of it; false where none does. */
function passSubgroups(threads: readonly Thread[], options: WorkgroupOptions): boolean {
  const { subgroupSize } = options;
  const subgroups = Array.from({ length: Math.ceil(threads.length / subgroupSize) }, (_, i) => threads.slice(i * subgroupSize, (i + 1) * subgroupSize));
  return subgroups.map((subgroup) => passSubgroup(subgroup, options)).includes(true);
}

function passSubgroup(subgroup: readonly Thread[], { name }: WorkgroupOptions): boolean {
  const active = subgroup.flatMap((thread, lane) => {
    const wait = waitOf(thread);
    return wait === null ? [] : [{ thread, lane, wait }];
  });
  const first = active[0]?.wait;
  if (first === undefined || !('args' in first)) return false;
  const args = new Map(
    active.map(({ lane, wait }) => {
      invariant(wait.at === first.at && 'args' in wait, `${name}: invocations of a subgroup diverge at ${first.at.fn}`);
      return [lane, wait.args] as const;
    }),
  );
  const results = active.map(({ lane }) => subgroupResult(name, first.at.fn, args, lane));
  active.forEach(({ thread }, i) => {
    thread.next = thread.run.next(at(results, i));
  });
  return true;
}

/** Lets all invocations go on, which wait at one barrier. */
function passBarrier(threads: readonly Thread[], { name }: WorkgroupOptions): void {
  const waits = threads.flatMap((thread) => waitOf(thread) ?? []);
  invariant(waits.length === threads.length, `${name}: some invocations ended before a barrier that others wait at`);
  const [barrier] = waits;
  invariant(
    waits.every((wait) => wait.at === barrier?.at),
    `${name}: invocations wait at different barriers`,
  );
  for (const thread of threads) thread.next = thread.run.next(0);
}

/** What an operation of a subgroup gives a lane. @param args the arguments of each lane that takes part */
function subgroupResult(name: string, fn: Call['fn'], args: ReadonlyMap<number, readonly LaneValue[]>, lane: number): LaneValue {
  const argument = (from: number, index: number): LaneValue => {
    const own = args.get(from);
    invariant(own !== undefined, `${name}: ${fn} reads lane ${from}, which is not active`);
    return at(own, index);
  };
  const fold = (op: (a: number, b: number) => number): LaneValue =>
    [...args.values()].map(([value]) => value as number).reduce((a, b) => Math.fround(op(a, b)));
  switch (fn) {
    case 'subgroupAdd':
      return fold((a, b) => a + b);
    case 'subgroupMax':
      return fold(Math.max);
    case 'subgroupShuffleXor':
      return argument(lane ^ (argument(lane, 1) as number), 0);
    default:
      return argument(argument(lane, 1) as number, 0);
  }
}

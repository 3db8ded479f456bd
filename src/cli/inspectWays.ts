/** @file The ways in which `ebb inspect` can be used, and the options that each of them reads. An option that it does not read is refused by name. */

import type { DiffSides } from '../inspect/views.ts';
import { refuseUnread } from './given.ts';

const MODEL = ['lora', 'rank', 'batch', 'length', 'dtype', 'device', 'adapter'];
const PATTERN = ['drop', 'remat', 'skip', 'drop-rate', 'seed'];
const PART = ['function', 'unit'];

interface Way {
  readonly reads: readonly string[];
  /** What this way does, so that a person sees why an option has no place in it. */
  readonly does: string;
  /** The option that chooses this way. It can be left out instead of the one that is refused. */
  readonly by?: string;
}

const WAYS = {
  page: { reads: ['html', ...MODEL, ...PATTERN, 'locs'], does: '--html writes a page with all stages, functions and costs of the model', by: '--html' },
  measurement: { reads: ['measure', ...MODEL, ...PATTERN, 'json'], does: '--measure runs a training step and times every kernel of it', by: '--measure' },
  patterns: { reads: ['diff', ...MODEL, ...PART, 'cost', 'json'], does: '--diff compares the two patterns that it names, as calls', by: '--diff' },
  stages: { reads: ['diff', ...MODEL, ...PART, 'cost', 'locs', 'json'], does: '--diff compares the two stages that it names', by: '--diff' },
  dumps: { reads: ['diff', 'function', 'cost', 'json'], does: '--diff compares two dumps, which hold no model', by: '--diff' },
  mixed: { reads: ['diff', ...MODEL, 'function', 'cost', 'locs', 'json'], does: '--diff compares a stage with a dump, which holds no units', by: '--diff' },
  dump: { reads: ['function', 'cost', 'json'], does: 'a dump holds one stage, without weights and kernels' },
  plan: { reads: ['stage', ...MODEL, ...PATTERN, ...PART, 'cost', 'json'], does: 'a pattern is shown as calls, which have no source lines' },
  kernels: { reads: ['stage', ...MODEL, ...PART, 'json'], does: 'kernels are the same for all patterns, and are shown without costs and source lines' },
  stage: { reads: ['stage', ...MODEL, ...PART, 'cost', 'locs', 'json'], does: 'a stage is the same for all patterns', by: '--stage' },
} satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof WAYS;

/** The options that choose a way. */
export interface WayFlags {
  readonly html?: string;
  readonly measure?: boolean;
  readonly stage?: string | undefined;
  readonly drop?: readonly string[] | undefined;
  readonly remat?: readonly string[] | undefined;
  readonly skip?: readonly string[] | undefined;
  readonly dropRate?: number | undefined;
}

/** Whether the path names a dump rather than a model. */
export const isDump = (path: string): boolean => path.endsWith('.ebb');

/** Finds the way in which a command line uses `ebb inspect`. `sides` are those of `--diff`, or null where it is not given. */
export function wayOf(model: string | undefined, flags: WayFlags, sides: DiffSides | null): WayName {
  if (flags.html !== undefined) return 'page';
  if (flags.measure) return 'measurement';
  if (sides?.kind === 'dumps') return 'dumps';
  if (model !== undefined && isDump(model)) return 'dump';
  if (sides !== null) return sides.kind;
  const patterned = [flags.drop, flags.remat, flags.skip, flags.dropRate].some((value) => value !== undefined);
  const stage = flags.stage ?? (patterned ? 'plan' : 'trace');
  if (stage === 'plan') return 'plan';
  return stage === 'kernel' || stage === 'wgsl' ? 'kernels' : 'stage';
}

/** @throws EbbError naming an option that the way does not read, or a seed that draws nothing */
export function checkOptions(name: WayName, given: readonly string[]): void {
  if (!given.includes('drop-rate'))
    refuseUnread(given, ['seed'], 'a seed chooses the pattern that --drop-rate draws', () => 'give --drop-rate too, or leave --seed out');
  const { reads, does, by }: Way = WAYS[name];
  const unread = given.filter((option) => !reads.includes(option));
  refuseUnread(given, unread, does, (option) => {
    if (name === 'dump') return 'give the model that the dump was made of';
    return by === undefined || !given.includes(by.slice(2)) ? `leave ${option} out` : `leave ${option} or ${by} out`;
  });
}

/** @file The ways in which a model is inspected, and the options that each of them reads. An option that it does not read is refused by name. */

import { EbbError } from '../errors.ts';
import type { DiffSides } from '../inspect/views.ts';

const MODEL = ['lora', 'rank', 'batch', 'length', 'dtype', 'device', 'adapter'];
const PATTERN = ['drop', 'remat', 'skip', 'dropRate', 'seed'];
const PART = ['function', 'unit'];

interface Way {
  readonly reads: readonly string[];
  /** What this way does, so that a person sees why an option has no place in it. */
  readonly does: (spell: (option: string) => string) => string;
  /** The option that chooses this way. It can be left out instead of the one that is refused. */
  readonly by?: string;
}

const WAYS = {
  page: {
    reads: ['html', ...MODEL, ...PATTERN, 'locs'],
    does: (spell) => `${spell('html')} writes a page with all stages, functions and costs of the model`,
    by: 'html',
  },
  measurement: {
    reads: ['measure', ...MODEL, ...PATTERN, 'json'],
    does: (spell) => `${spell('measure')} runs a training step and times every kernel of it`,
    by: 'measure',
  },
  patterns: {
    reads: ['diff', ...MODEL, ...PART, 'cost', 'json'],
    does: (spell) => `${spell('diff')} compares the two patterns that it names, as calls`,
    by: 'diff',
  },
  stages: { reads: ['diff', ...MODEL, ...PART, 'cost', 'locs', 'json'], does: (spell) => `${spell('diff')} compares the two stages that it names`, by: 'diff' },
  dumps: { reads: ['diff', 'function', 'cost', 'json'], does: (spell) => `${spell('diff')} compares two dumps, which hold no model`, by: 'diff' },
  mixed: {
    reads: ['diff', ...MODEL, 'function', 'cost', 'locs', 'json'],
    does: (spell) => `${spell('diff')} compares a stage with a dump, which holds no units`,
    by: 'diff',
  },
  dump: { reads: ['function', 'cost', 'json'], does: () => 'a dump holds one stage, without weights and kernels' },
  plan: { reads: ['stage', ...MODEL, ...PATTERN, ...PART, 'cost', 'json'], does: () => 'a pattern is shown as calls, which have no source lines' },
  kernels: { reads: ['stage', ...MODEL, ...PART, 'json'], does: () => 'kernels are the same for all patterns, and are shown without costs and source lines' },
  stage: { reads: ['stage', ...MODEL, ...PART, 'cost', 'locs', 'json'], does: () => 'a stage is the same for all patterns', by: 'stage' },
} satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof WAYS;

/** The options that choose a way. */
export interface WayFlags {
  readonly html?: string | undefined;
  readonly measure?: boolean | undefined;
  readonly stage?: string | undefined;
  readonly drop?: readonly string[] | undefined;
  readonly remat?: readonly string[] | undefined;
  readonly skip?: readonly string[] | undefined;
  readonly dropRate?: number | undefined;
}

/** Whether the path names a dump rather than a model. */
export const isDump = (path: string): boolean => path.endsWith('.ebb');

/** Finds the way that options choose. `sides` are those of `diff`, or null where it is not given. */
export function wayOf(model: string | null, flags: WayFlags, sides: DiffSides | null): WayName {
  if (flags.html !== undefined) return 'page';
  if (flags.measure) return 'measurement';
  if (sides?.kind === 'dumps') return 'dumps';
  if (model !== null && isDump(model)) return 'dump';
  if (sides !== null) return sides.kind;
  const patterned = [flags.drop, flags.remat, flags.skip, flags.dropRate].some((value) => value !== undefined);
  const stage = flags.stage ?? (patterned ? 'plan' : 'trace');
  if (stage === 'plan') return 'plan';
  return stage === 'kernel' || stage === 'wgsl' ? 'kernels' : 'stage';
}

/**
 * Checks that a way reads every option that was given. @param spell how a message spells an option: as it is, or as a flag
 * @throws EbbError naming an option that the way does not read, or a seed that draws nothing
 */
export function checkWay(name: WayName, given: readonly string[], spell: (option: string) => string = (option) => option): void {
  if (given.includes('seed') && !given.includes('dropRate'))
    throw new EbbError(
      `${spell('seed')}: a seed chooses the pattern that ${spell('dropRate')} draws; give ${spell('dropRate')} too, or leave ${spell('seed')} out`,
    );
  const { reads, does, by }: Way = WAYS[name];
  const unread = given.find((option) => !reads.includes(option));
  if (unread === undefined) return;
  const option = spell(unread);
  const out = by === undefined || !given.includes(by) ? option : `${option} or ${spell(by)}`;
  throw new EbbError(`${option}: ${does(spell)}; ${name === 'dump' ? 'give the model that the dump was made of' : `leave ${out} out`}`);
}

/** @file What was made of data so far: sequences that went to a sink, and what became of the rest. */

import { at } from '../errors.ts';
import type { Labelled } from '../tokenizer/lessons.ts';
import type { Sequence } from '../train/batches.ts';
import type { Coverage } from './coverage.ts';
import { LEFT_OUT_REASONS, type LeftOut, type LeftOutReason } from './dataReport.ts';
import { type IntList, intList } from './intList.ts';

/** Takes sequences as they are made. */
export type Sink = (sequence: Sequence) => void;

/** What was made so far. */
export interface Made {
  readonly sink: Sink;
  /** Sequences that were made. */
  count: number;
  /** Tokens of each sequence, and the record that it is of. */
  readonly kept: IntList;
  readonly records: IntList;
  /** Records of sequences that lost tokens. */
  readonly cut: IntList;
  /** Records that were left out, by the reason. */
  readonly leftOut: Readonly<Record<LeftOutReason, IntList>>;
  /** Tokens of each sequence before it was cut, also of those left out. */
  readonly lengths: IntList;
  readonly framings: Map<string, number>;
  readonly coverage: Coverage;
  tokens: number;
  learnt: number;
}

/** The start: nothing was made. */
export const nothingMade = (sink: Sink): Made => ({
  sink,
  count: 0,
  kept: intList(),
  records: intList(),
  cut: intList(),
  leftOut: { nothing: intList(), beyond: intList(), first: intList() },
  lengths: intList(),
  framings: new Map(),
  coverage: { tokens: 0, unknown: 0, texts: 0, uncovered: 0 },
  tokens: 0,
  learnt: 0,
});

/** Tokens that bring loss: the first one is predicted from nothing. */
const learntOf = (labels: ArrayLike<number>): number => {
  let learnt = 0;
  for (let i = 1; i < labels.length; i++) if (at(labels, i) >= 0) learnt++;
  return learnt;
};

/** Hands a sequence on. @param number of its record, from 1 @param learnt tokens of it that bring loss */
export function take(made: Made, number: number, sequence: Sequence, learnt: number): void {
  made.sink(sequence);
  made.count++;
  made.kept.push(sequence.tokens.length);
  made.records.push(number);
  made.tokens += sequence.tokens.length;
  made.learnt += learnt;
}

/** The sequence of a record, cut at the length; null for one that is left out, which `made` says. */
export function cutSequence(
  made: Made,
  number: number,
  { ids, labels }: Labelled,
  length: number | null,
): { readonly sequence: Sequence; readonly learnt: number } | null {
  made.lengths.push(ids.length);
  const most = length ?? Number.POSITIVE_INFINITY;
  const kept = labels.slice(0, most);
  const learnt = learntOf(kept);
  if (learnt === 0) {
    const reason: LeftOutReason = labels.every((label) => label < 0) ? 'nothing' : learntOf(labels) > 0 ? 'beyond' : 'first';
    made.leftOut[reason].push(number);
    return null;
  }
  if (ids.length > most) made.cut.push(number);
  return { sequence: { tokens: Int32Array.from(ids.slice(0, most)), labels: Int32Array.from(kept) }, learnt };
}

/** The records that were left out, each reason's in order. */
export const leftOutOf = ({ leftOut }: Made): LeftOut[] =>
  LEFT_OUT_REASONS.flatMap((reason) => {
    const records = leftOut[reason].values().sort();
    return records.length > 0 ? [{ reason, records }] : [];
  });

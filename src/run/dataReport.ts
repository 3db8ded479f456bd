/** @file What became of the records of data: how many are learnt, cut and left out, and how long they are. The account that runs begin with. */

/** Why a record is left out. */
export type LeftOutReason = 'nothing' | 'beyond' | 'first';

/** Why records are left out, in words. */
const REASONS: Readonly<Record<LeftOutReason, (length: number | null) => string>> = {
  nothing: () => 'nothing of them is to be learnt (no answer, an empty one, or one that is not to be)',
  beyond: (length) => `what is to be learnt of them lies beyond ${length} tokens; raise length`,
  first: () => 'nothing of them is learnt but the first token, which nothing comes before',
};

/** The reasons, in the order in which they are said. */
export const LEFT_OUT_REASONS = Object.keys(REASONS) as readonly LeftOutReason[];

/** Records that are left out for one reason, by their numbers from 1, in order. */
export interface LeftOut {
  readonly reason: LeftOutReason;
  readonly records: Int32Array<ArrayBuffer>;
}

/** The account of data that was made into sequences. */
export interface DataReport {
  readonly path: string;
  /** What the records are, such as `conversations`; `text` for a text. */
  readonly kind: string;
  /** Records that were read; for a text, the pieces that it was cut into. */
  readonly records: number;
  /** Sequences that are trained. */
  readonly used: number;
  /** Records of sequences that lost tokens, by their numbers. */
  readonly cut: Int32Array<ArrayBuffer>;
  readonly leftOut: readonly LeftOut[];
  /** Most tokens of a sequence; null where sequences stay whole. */
  readonly length: number | null;
  /** Tokens of the sequences, and those of them that bring loss. */
  readonly tokens: number;
  readonly learnt: number;
  /** Tokens of each sequence before it was cut, also of those left out. */
  readonly lengths: Int32Array<ArrayBuffer>;
  /** How sequences begin and end, and how many do so. */
  readonly framings: readonly { readonly text: string; readonly sequences: number }[];
  /** Fields of records that nothing reads. */
  readonly unusedFields: readonly string[];
  /** What of the texts the vocabulary does not cover. */
  readonly coverage: readonly string[];
  /** What the files of the tokenizer say against each other. */
  readonly notes: readonly string[];
}

const MOST_NUMBERS = 8;

/** Numbers as a person reads them: the first few, and how many more. @param numbers in order; one may come several times */
export function numbersText(numbers: Int32Array): string {
  const isFirst = (i: number): boolean => i === 0 || numbers[i] !== numbers[i - 1];
  const shown: number[] = [];
  let all = 0;
  for (const [i, number] of numbers.entries()) {
    if (!isFirst(i)) continue;
    all++;
    if (all <= MOST_NUMBERS) shown.push(number);
  }
  return all > MOST_NUMBERS ? `${shown.join(', ')} and ${all - MOST_NUMBERS} more` : shown.join(', ');
}

const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** The records that were left out, a line for each reason. */
const leftOutLines = ({ path, leftOut, length }: DataReport): string[] =>
  leftOut.map(({ reason, records }) => `${path}: ${plural(records.length, 'sequence')} left out (records ${numbersText(records)}): ${REASONS[reason](length)}`);

/** The longest sequence before it was cut. */
export const longestOf = ({ lengths }: Pick<DataReport, 'lengths'>): number => lengths.reduce((most, length) => Math.max(most, length), 0);

function countsText(report: DataReport): string {
  const { kind, records, used, cut, length, tokens, learnt } = report;
  const what = kind === 'text' ? `${plural(used, 'piece')} of text` : `${plural(records, 'record')} (${kind}), ${plural(used, 'sequence')}`;
  return [
    `${what} with ${tokens} tokens, ${learnt} of them learnt, the longest ${longestOf(report)}`,
    ...(cut.length > 0 && kind !== 'text' ? [`${cut.length} cut at ${length} tokens (records ${numbersText(cut)})`] : []),
  ].join('; ');
}

/** The account in lines. */
export function reportLines(report: DataReport): string[] {
  const { path, framings, coverage, unusedFields, notes } = report;
  const several = framings.length > 1;
  return [
    ...notes,
    `${path}: ${countsText(report)}`,
    ...leftOutLines(report),
    ...coverage.map((text) => `${path}: ${text}`),
    ...framings.map(({ text, sequences }) => `${path}: ${several ? `of ${plural(sequences, 'sequence')}: ` : ''}${text}`),
    ...(unusedFields.length > 0 ? [`${path}: the fields ${unusedFields.join(', ')} of the records are not used`] : []),
  ];
}

/** How many sequences have so many tokens: powers of two, the upper bound of each. */
export function histogramOf({ lengths }: Pick<DataReport, 'lengths'>): readonly { readonly upTo: number; readonly sequences: number }[] {
  const counts = new Map<number, number>();
  for (const length of lengths) {
    const upTo = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(1, length))));
    counts.set(upTo, (counts.get(upTo) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => a - b).map(([upTo, sequences]) => ({ upTo, sequences }));
}

/** Most numbers of records that a summary lists: of more, the counts tell. */
const MOST_LISTED = 10_000;

/** The account as data, without the length of every sequence. `cutRecords` and `leftOutRecords` list the first MOST_LISTED records. */
export function summaryOf(report: DataReport) {
  const { lengths: _lengths, cut, leftOut, ...rest } = report;
  const leftOutRecords = leftOut.flatMap(({ reason, records }) => Array.from(records.subarray(0, MOST_LISTED), (record) => ({ record, reason })));
  return {
    ...rest,
    cut: cut.length,
    cutRecords: [...cut.subarray(0, MOST_LISTED)],
    leftOut: leftOut.reduce((sum, { records }) => sum + records.length, 0),
    leftOutRecords: leftOutRecords.sort((a, b) => a.record - b.record).slice(0, MOST_LISTED),
    longest: longestOf(report),
    histogram: histogramOf(report),
  };
}

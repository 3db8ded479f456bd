/** @file `readData`: what data becomes for a model, without training it. */

import { join } from 'node:path';
import { z } from 'zod';
import { type FieldNames, fieldNames } from '../data/fieldNames.ts';
import { locateData } from '../data/locate.ts';
import { at, EbbError, option } from '../errors.ts';
import { fileExists, pathKind } from '../formats/files.ts';
import { type StreamedEntry, streamSafetensors } from '../formats/safetensors.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import { describeModel } from '../models/checkpoint.ts';
import { dataPath } from '../run/dataPath.ts';
import { type DataReport, reportLines } from '../run/dataReport.ts';
import { checkOutFile, inputsOf } from '../run/outputs.ts';
import { prepare } from '../run/prepare.ts';
import { tell, type Watch } from '../run/progress.ts';
import { openTokenizer, type Tokenizer } from '../tokenizer/open.ts';
import type { Sequence, Sequences } from '../train/batches.ts';
import { modelPath } from './modelPath.ts';
import { text, WATCH, whole } from './optionKinds.ts';

/** How data is read. */
export interface ReadDataOptions extends Watch {
  /** The model whose tokenizer and chat template decide: a checkpoint folder, a GGUF file, a hub id, or a folder that holds a tokenizer alone. */
  readonly model: string;
  /** Most tokens of a sequence; default: sequences stay whole. */
  readonly length?: number | undefined;
  /** Most records that are read; default all. */
  readonly limit?: number | undefined;
  readonly fields?: FieldNames | undefined;
  readonly chatTemplate?: string | undefined;
  /** A safetensors file to write: the sequences as ready batches, for generated trainers and pages. */
  readonly out?: string | undefined;
  /** Sequences of a ready batch; default 1. */
  readonly batch?: number | undefined;
}

const OPTIONS: OptionShape<ReadDataOptions> = {
  ...WATCH,
  model: text,
  length: whole(2),
  limit: whole(1),
  fields: fieldNames.optional(),
  chatTemplate: z.string().optional(),
  out: text.optional(),
  batch: whole(1),
};

/** A sequence as it is trained. */
export interface DataSequence {
  /** The records that it is made of, from 1. */
  readonly records: readonly number[];
  readonly ids: readonly number[];
  /** Not shifted; −100 is not learnt. */
  readonly labels: readonly number[];
}

/** A stretch of a sequence that is learnt, or is not. */
export interface TextPart {
  readonly text: string;
  readonly isLearnt: boolean;
}

/** What data becomes: its sequences, one at a time, as there may be many. */
export interface DataReading extends Iterable<DataSequence> {
  readonly report: DataReport;
  /** The sequence of an index from 0 to below `report.used`. */
  at(index: number): DataSequence;
  /** The text of a sequence, in stretches that are learnt and that are not. */
  partsOf(sequence: DataSequence): Promise<readonly TextPart[]>;
}

/** The tokens that a model has rows for; those of its tokenizer where no configuration says it. */
function rowsOf(path: string, tokenizer: Tokenizer): number {
  const isModel = pathKind(path) === 'file' ? path.toLowerCase().endsWith('.gguf') : fileExists(join(path, 'config.json'));
  return isModel ? describeModel(path).config.vocabSize : tokenizer.vocabSize;
}

const listOf = ({ tokens, labels }: Sequence, record: number): DataSequence => ({ records: [record], ids: [...tokens], labels: [...labels] });

/** The stretches of a sequence. A character whose tokens differ is shown with the first. */
async function partsOf(tokenizer: Tokenizer, { ids, labels }: DataSequence): Promise<readonly TextPart[]> {
  const parts: TextPart[] = [];
  let from = 0;
  for (let to = 1; to <= ids.length; to++) {
    const isLearnt = at(labels, from) >= 0 && from > 0;
    if (to < ids.length && (at(labels, to) >= 0 && to > 0) === isLearnt) continue;
    parts.push({ text: await tokenizer.decode(ids.slice(from, to)), isLearnt });
    from = to;
  }
  return parts;
}

/** Writes sequences as ready batches [steps, batch, length], padded on the right; rows that fill up the last batch are padding alone. */
async function writeBatches(out: string, sequences: Sequences, batch: number, padId: number): Promise<void> {
  const steps = Math.ceil(sequences.length / batch);
  const indices = Array.from({ length: steps * batch }, (_, i) => i);
  const length = indices.reduce((most, i) => (i < sequences.length ? Math.max(most, sequences.lengthOf(i)) : most), 2);
  /** A tensor, row by row: a sequence's numbers, and what stands behind them. */
  const tensor = (name: string, of: (row: Sequence) => Int32Array, rest: number): StreamedEntry => ({
    name,
    dtype: 'I32',
    shape: [steps, batch, length],
    *pieces() {
      for (const i of indices) {
        const row = new Int32Array(length).fill(rest);
        if (i < sequences.length) row.set(of(sequences.at(i)));
        yield new Uint8Array(row.buffer);
      }
    },
  });
  await streamSafetensors(out, [
    tensor('attention_mask', ({ tokens }) => new Int32Array(tokens.length).fill(1), 0),
    tensor('input_ids', ({ tokens }) => tokens, padId),
    tensor('labels', ({ labels }) => labels, -100),
  ]);
}

/**
 * Reads data as a run would: records, their tokens, and which of them are learnt. @param data a file, a folder of shards, a pattern, a hub id, or - for
 * standard input
 * @throws EbbError naming the record that must be refused, and for a tokenizer or data that cannot be used
 */
export async function readData(data: string, options: ReadDataOptions): Promise<DataReading> {
  checkOptions('readData()', { data }, { data: text });
  checkOptions('readData()', options, OPTIONS);
  const { length = null, limit, fields = {}, chatTemplate, out, batch = 1, ...watch } = options;
  if (out !== undefined) {
    if (!out.toLowerCase().endsWith('.safetensors')) throw new EbbError(`${option('out')} ${out}: expected a name that ends in .safetensors`);
    checkOutFile(out, option('out'), inputsOf({ 'the data': data }));
  }
  const [model, path] = [await modelPath(options.model, { weights: false }, watch), await dataPath(data, watch)];
  const { kind } = locateData(path);
  if (kind === 'batches' || kind === 'tokens')
    throw new EbbError(`${path}: holds ${kind === 'batches' ? 'ready batches' : 'token ids'}, of which nothing is to be made; ebb check says what they are`);
  const tokenizer = await openTokenizer(model, { chatTemplate });
  const vocabSize = rowsOf(model, tokenizer);
  const preparation = prepare({ onProgress: watch.onProgress });
  try {
    const { sequences, records, report, padId } = await preparation.tokenise({ path, tokenizer: model, length, fields, chatTemplate, limit, vocabSize });
    for (const line of reportLines(report)) tell(watch, line);
    if (out !== undefined && sequences.length > 0) await writeBatches(out, sequences, batch, padId);
    const sequenceAt = (index: number): DataSequence => listOf(sequences.at(index), at(records, index));
    return {
      report,
      at: sequenceAt,
      *[Symbol.iterator]() {
        for (let index = 0; index < sequences.length; index++) yield sequenceAt(index);
      },
      partsOf: (sequence) => partsOf(tokenizer, sequence),
    };
  } finally {
    preparation.end();
  }
}

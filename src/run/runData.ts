/** @file The data of a run: opened by its config, tokenised while the model is compiled. */

import { existsSync } from 'node:fs';
import { holdsRecords, locateData } from '../data/locate.ts';
import { EbbError } from '../errors.ts';
import type { Batch } from '../train/batches.ts';
import type { RunConfig } from '../train/config.ts';
import { type RunLength, runLength } from '../train/runLength.ts';
import { checkPositions, checkRestarts, type PositionSubject, takesSequences } from './batchFiles.ts';
import { type BatchSizes, checkCounted, type DataOptions, type LoadedData, type OpenedData, openData, readySizes } from './data.ts';
import { dataPath } from './dataPath.ts';
import type { IdentitySources } from './identity.ts';
import { momentOf } from './moment.ts';
import { type Preparation, prepare } from './prepare.ts';
import type { Watch } from './progress.ts';
import { tokenizerFiles } from './tokenCache.ts';

/** The data of a run, and the held-out data if there is any. */
export interface LoadedRunData {
  readonly train: LoadedData;
  readonly held: LoadedData | null;
}

/** The data of a run while it may still be tokenised. */
export interface RunData {
  /** Most sequences and tokens of a batch. */
  readonly batch: number;
  readonly length: number;
  /** Whether positions start over within rows, because they hold several sequences. */
  readonly restarts: boolean;
  /** When the run began: the time that chat templates tell. */
  readonly moment: Date;
  /** What is to be said of it before the run. */
  readonly notes: readonly string[];
  /** The files that it is made of, by what they are. Standard input is none. @throws EbbError where text has no tokenizer */
  readonly files: () => IdentitySources['files'];
  /** @throws EbbError naming the file and what is wrong with it */
  readonly loaded: Promise<LoadedRunData>;
  /** Reads further held-out data, once, by the rules of the run's. @throws EbbError naming the file and what is wrong with it */
  heldOut(path: string): Promise<readonly Batch[]>;
  /** Ends what is still being prepared. */
  end(): void;
}

export interface DataSubject extends PositionSubject {
  readonly vocabSize: number | null;
  readonly maxPosition: number | null;
  /** Where the tokenizer is. @throws EbbError where there is none */
  readonly tokenizer: () => string;
  /** Sizes of a run where nothing is asked for; default those of `run.yaml`. */
  readonly usual?: BatchSizes;
}

/** Sizes of a micro-batch where `run.yaml` says nothing. */
export const USUAL_SIZES: BatchSizes = { batch: 1, length: 256 };

/** What is to be said of keys that change nothing in a run with this data. */
function unreadKeys({ data, evalData, evalEvery, fields, chatTemplate, binType }: RunConfig): string[] {
  const records = holdsRecords(data) || (evalData !== undefined && holdsRecords(evalData));
  return [
    ...(evalEvery > 0 && evalData === undefined ? [`evalEvery is ${evalEvery}, but there is no evalData, so nothing is evaluated`] : []),
    ...(Object.keys(fields).length > 0 && !records ? [`fields names fields of records, but ${data} holds none, so it changes nothing`] : []),
    ...(evalData === data ? [`evalData is data itself, ${data}: the held-out loss is that of what is trained`] : []),
    ...(binType !== undefined && locateData(data).kind !== 'tokens' && (evalData === undefined || locateData(evalData).kind !== 'tokens')
      ? [`binType says how a .bin file is written, but ${data} is none, so it changes nothing`]
      : []),
    ...(chatTemplate !== undefined && !records ? [`chatTemplate renders conversations, but ${data} holds none, so it changes nothing`] : []),
  ];
}

/** A function that does its work once for every argument, unless it failed. */
function once<T>(work: (of: string) => Promise<T>): (of: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (of) => {
    const result = known.get(of) ?? work(of);
    known.set(of, result);
    result.catch(() => known.delete(of));
    return result;
  };
}

/** @throws EbbError for batches that are larger than those of the run */
function checkWithin(where: string, own: BatchSizes, most: BatchSizes): void {
  if (own.batch <= most.batch && own.length <= most.length) return;
  throw new EbbError(`${where}: its batches are ${own.batch} × ${own.length}, those of this run at most ${most.batch} × ${most.length}; make smaller ones`);
}

/** The config with data sets of the hub as the folders that they were downloaded into. @throws EbbError for standard input that is to be read twice */
async function withLocalData(config: RunConfig, watch: Watch): Promise<RunConfig> {
  const { data, evalData } = config;
  if (data === '-' && evalData === '-')
    throw new EbbError('data and evalData are both standard input (-), which can be read once; give one of them a file', 'config');
  return { ...config, data: await dataPath(data, watch), ...(evalData === undefined ? {} : { evalData: await dataPath(evalData, watch) }) };
}

/** The files that data is made of: its own, and those of what makes tokens of it. */
function dataFiles({ data, evalData, chatTemplate }: RunConfig, { inputs, tokenizer }: DataSubject): IdentitySources['files'] {
  const own = (path: string | undefined): readonly string[] =>
    path === undefined ? [] : locateData(path).files.flatMap((file) => (file.path === '-' ? [] : [file.path]));
  const isTokenised = takesSequences(inputs) && [data, evalData].some((path) => path !== undefined && ['text', 'records'].includes(locateData(path).kind));
  return {
    data: own(data),
    evalData: own(evalData),
    tokenizer: isTokenised ? tokenizerFiles(tokenizer()) : [],
    chatTemplate: chatTemplate !== undefined && existsSync(chatTemplate) ? [chatTemplate] : [],
  };
}

/** Opens the data of a run; what has to be tokenised is being tokenised then. @throws EbbError naming the file and what is wrong with it */
export async function openRunData(given: RunConfig, subject: DataSubject, watch: Watch = {}): Promise<RunData> {
  const config = await withLocalData(given, watch);
  const { inputs, vocabSize, maxPosition, tokenizer, usual = USUAL_SIZES } = subject;
  const moment = momentOf(config.out);
  const common = {
    batch: config.batch,
    length: config.length,
    seed: config.seed,
    inputs,
    vocabSize,
    fields: config.fields,
    chatTemplate: config.chatTemplate,
    binType: config.binType,
    now: moment,
  };
  const preparation = prepare({ onProgress: watch.onProgress });
  const open = (path: string, options: Partial<DataOptions>, by: Preparation = preparation): OpenedData => {
    const opened = openData(path, tokenizer, { ...common, ...options }, by);
    checkPositions(path, opened.length, maxPosition);
    if (opened.restarts) checkRestarts(path, subject);
    return opened;
  };
  try {
    const { shuffle, pack, bucket } = config;
    const train = open(config.data, { shuffle, pack, bucket });
    const held = config.evalData === undefined ? null : open(config.evalData, { shuffle: false, limit: config.evalLimit });
    // sizes that were asked for may be meant for the one of both that comes without
    const note = train.isReady && (held === null || held.isReady) ? readySizes(config.data, train, config, usual) : null;
    const loaded = Promise.all([train.loaded, held?.loaded ?? null]).then(([own, other]): LoadedRunData => ({ train: own, held: other }));
    loaded.then(preparation.end, preparation.end);
    const [batch, length] = [Math.max(train.batch, held?.batch ?? 0), Math.max(train.length, held?.length ?? 0)];
    const restarts = train.restarts || (held?.restarts ?? false);
    const heldOut = once(async (path: string): Promise<readonly Batch[]> => {
      const own = prepare({ onProgress: watch.onProgress });
      try {
        const opened = open(path, { batch, length, shuffle: false, limit: config.evalLimit }, own);
        checkWithin(path, opened, { batch, length });
        // the model is compiled by now, for the data that the run named
        if (opened.restarts && !restarts) checkRestarts(path, { ...subject, canTakePositions: false });
        const batches = (await opened.loaded).source.all();
        checkCounted(path, batches);
        return batches;
      } finally {
        own.end();
      }
    });
    const files = (): IdentitySources['files'] => dataFiles(config, subject);
    return { batch, length, restarts, moment, heldOut, files, notes: [...unreadKeys(config), ...(note === null ? [] : [note])], loaded, end: preparation.end };
  } catch (error) {
    preparation.end();
    throw error;
  }
}

/** Opens the data of a run, and ends its preparation whatever becomes of `work`. @throws EbbError */
export async function withRunData<T>(config: RunConfig, subject: DataSubject, work: (data: RunData) => Promise<T>, watch: Watch = {}): Promise<T> {
  const data = await openRunData(config, subject, watch);
  try {
    return await work(data);
  } finally {
    data.end();
  }
}

/** The length of a run over its data. */
export const lengthOf = (config: RunConfig, { train }: LoadedRunData): RunLength => runLength(config, train.source.count);

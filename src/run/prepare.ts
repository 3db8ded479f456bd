/**
 * @file Tokenising on a thread of its own, so that tracing, compiling and the driver go on meanwhile. The worker's program is this very file,
 * wherever it has been built into: dist, or the one file of a standalone trainer.
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { at, EbbError, type EbbErrorCode } from '../errors.ts';
import type { Sequence } from '../train/batches.ts';
import type { DataReport } from './dataReport.ts';
import { type SequenceRequest, type Tokenised, tokenise } from './sequences.ts';

export interface Preparation {
  /** Requests are answered one after the other. @throws EbbError as `tokenise` */
  tokenise(request: SequenceRequest): Promise<Tokenised>;
  /** Ends the worker; whoever still waits is told. */
  end(): void;
}

/** Sequences one behind the other: moved between threads, not copied. */
interface Packed {
  readonly tokens: Int32Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
  /** Where each sequence ends. */
  readonly ends: Int32Array<ArrayBuffer>;
  readonly records: Int32Array<ArrayBuffer>;
  readonly padId: number;
  readonly report: DataReport;
}

type Answer = { readonly packed: Packed } | { readonly message: string; readonly code: EbbErrorCode } | { readonly message: string; readonly stack: string };

function pack({ sequences, records, padId, report }: Tokenised): Packed {
  const ends = new Int32Array(sequences.length);
  let end = 0;
  for (const [i, s] of sequences.entries()) ends[i] = end += s.tokens.length;
  const [tokens, labels] = [new Int32Array(end), new Int32Array(end)];
  for (const [i, s] of sequences.entries()) {
    const from = at(ends, i) - s.tokens.length;
    tokens.set(s.tokens, from);
    labels.set(s.labels, from);
  }
  return { tokens, labels, ends, records: Int32Array.from(records), padId, report };
}

function unpack({ tokens, labels, ends, ...rest }: Packed): Tokenised {
  const sequences = Array.from(ends, (end, i): Sequence => {
    const from = i === 0 ? 0 : at(ends, i - 1);
    return { tokens: tokens.subarray(from, end), labels: labels.subarray(from, end) };
  });
  return { sequences, ...rest };
}

/** Says to a worker that it is one of these: it may have been started from a file that holds more than this module. */
const ROLE = 'ebb: tokenise';

async function answer(request: SequenceRequest): Promise<Answer> {
  try {
    return { packed: pack(await tokenise(request)) };
  } catch (error) {
    if (error instanceof EbbError) return { message: error.message, code: error.code };
    return { message: String(error), stack: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** What goes to another thread without a copy. */
const moved = ({ tokens, labels, ends, records, report }: Packed): ArrayBuffer[] => [tokens, labels, ends, records, report.lengths].map(({ buffer }) => buffer);

/** The last answer, behind which the next one is made: replies come in the order of their requests. */
let last: Promise<unknown> = Promise.resolve();

if (!isMainThread && workerData === ROLE)
  parentPort?.on('message', async (request: SequenceRequest) => {
    const made = last.then(() => answer(request));
    last = made;
    const reply = await made;
    parentPort?.postMessage(reply, 'packed' in reply ? moved(reply.packed) : []);
  });

/** Loaders of TypeScript do not reach into workers: from sources, and under a test runner, this thread does it. */
const BUILT = !import.meta.url.endsWith('.ts');

/** Starts a worker with the first request. */
export function prepare(inWorker: boolean = BUILT): Preparation {
  if (!inWorker) return { tokenise, end: () => {} };
  let worker: Worker | undefined;
  const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  const start = (): Worker => {
    const made = new Worker(new URL(import.meta.url), { workerData: ROLE });
    const fail = (error: Error): void => {
      for (const { reject } of waiting.splice(0)) reject(error);
    };
    made.on('message', (reply: Answer) => waiting.shift()?.resolve(reply));
    made.on('error', fail);
    made.on('exit', () => fail(new Error('the worker that prepares data has ended')));
    return made;
  };
  return {
    async tokenise(request) {
      worker ??= start();
      worker.postMessage(request);
      const reply = await new Promise<Answer>((resolve, reject) => waiting.push({ resolve, reject }));
      if ('packed' in reply) return unpack(reply.packed);
      if ('code' in reply) throw new EbbError(reply.message, reply.code);
      throw Object.assign(new Error(reply.message), { stack: reply.stack });
    },
    end: () => void worker?.terminate(),
  };
}

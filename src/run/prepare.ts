/**
 * @file Tokenising on a thread of its own, so that tracing, compiling and the driver go on meanwhile. The worker's program is this very file,
 * wherever it has been built into: dist, or the one file of a standalone trainer.
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { EbbError, type EbbErrorCode } from '../errors.ts';
import { type Sequence, type Sequences, sequencesOf } from '../train/batches.ts';
import { type KeptTokens, keptTokens } from './keptTokens.ts';
import type { Progress, Watch } from './progress.ts';
import type { SequenceRequest, Tokenised } from './sequences.ts';
import { storedSequences } from './tokenFile.ts';

export interface Preparation {
  /** Requests are answered one after the other. @throws EbbError as `tokenise` */
  tokenise(request: SequenceRequest): Promise<Prepared>;
  /** Ends the worker; whoever still waits is told. */
  end(): void;
}

/** Sequences one behind the other. */
interface Joined {
  readonly tokens: Int32Array<ArrayBuffer>;
  readonly labels: Int32Array<ArrayBuffer>;
}

/** Tokenised data as it goes between threads: moved, not copied. */
interface Packed extends Tokenised {
  readonly held: { readonly file: string } | Joined;
}

type Answer = { readonly packed: Packed } | { readonly message: string; readonly code: EbbErrorCode } | { readonly message: string; readonly stack: string };

function join(sequences: readonly Sequence[]): Joined {
  const count = sequences.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const [tokens, labels] = [new Int32Array(count), new Int32Array(count)];
  let from = 0;
  for (const s of sequences) {
    tokens.set(s.tokens, from);
    labels.set(s.labels, from);
    from += s.tokens.length;
  }
  return { tokens, labels };
}

const pack = ({ held, ...rest }: KeptTokens): Packed => ({ ...rest, held: 'file' in held ? held : join(held.sequences) });

function separate({ tokens, labels }: Joined, lengths: Int32Array): Sequence[] {
  let from = 0;
  return Array.from(lengths, (length): Sequence => {
    const part: Sequence = { tokens: tokens.subarray(from, from + length), labels: labels.subarray(from, from + length) };
    from += length;
    return part;
  });
}

/** Tokenised data whose sequences can be read. */
export interface Prepared extends Tokenised {
  readonly sequences: Sequences;
}

const unpack = ({ held, ...rest }: Packed): Prepared => ({
  ...rest,
  sequences: 'file' in held ? storedSequences(held.file, rest.kept) : sequencesOf(separate(held, rest.kept)),
});

/** Says to a worker that it is one of these: it may have been started from a file that holds more than this module. */
const ROLE = 'ebb: tokenise';

async function answer(request: SequenceRequest, watch: Watch): Promise<Answer> {
  try {
    return { packed: pack(await keptTokens(request, watch)) };
  } catch (error) {
    if (error instanceof EbbError) return { message: error.message, code: error.code };
    return { message: String(error), stack: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** What goes to another thread without a copy. */
const moved = ({ held, kept, records, report }: Packed): ArrayBuffer[] =>
  [kept, records, report.lengths, report.cut, ...report.leftOut.map((left) => left.records), ...('file' in held ? [] : [held.tokens, held.labels])].map(
    ({ buffer }) => buffer,
  );

/** The last answer, behind which the next one is made: replies come in the order of their requests. */
let last: Promise<unknown> = Promise.resolve();

/** Between two counts of the same work; who watches wants no more of them. */
const TOLD_EVERY_MS = 50;

/** Tells the other thread how far work is: beginnings and ends at once, counts from time to time. */
function tellingParent(): Watch {
  let told = Number.NEGATIVE_INFINITY;
  return {
    onProgress(progress) {
      const now = performance.now();
      if (progress.kind === 'pieces' && progress.done > 0 && progress.done < progress.total && now - told < TOLD_EVERY_MS) return;
      told = now;
      parentPort?.postMessage({ progress });
    },
  };
}

if (!isMainThread && workerData === ROLE)
  parentPort?.on('message', async (request: SequenceRequest) => {
    const made = last.then(() => answer(request, tellingParent()));
    last = made;
    const reply = await made;
    parentPort?.postMessage(reply, 'packed' in reply ? moved(reply.packed) : []);
  });

/** Tokenises on this thread, one request after the other, as the worker does. */
function preparedHere(watch: Watch): Preparation {
  let before: Promise<unknown> = Promise.resolve();
  return {
    tokenise(request) {
      const made = before.then(async () => unpack(pack(await keptTokens(request, watch))));
      // one that failed holds up no other
      before = made.catch(() => {});
      return made;
    },
    end: () => {},
  };
}

/** Loaders of TypeScript do not reach into workers: from sources, and under a test runner, this thread does it. */
const BUILT = !import.meta.url.endsWith('.ts');

/** Starts a worker with the first request. @param watch is told how far it is */
export function prepare(watch: Watch = {}, inWorker: boolean = BUILT): Preparation {
  if (!inWorker) return preparedHere(watch);
  let worker: Worker | undefined;
  const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  const start = (): Worker => {
    const made = new Worker(new URL(import.meta.url), { workerData: ROLE });
    const fail = (error: Error): void => {
      for (const { reject } of waiting.splice(0)) reject(error);
    };
    made.on('message', (reply: Answer | { readonly progress: Progress }) => {
      if ('progress' in reply) watch.onProgress?.(reply.progress);
      else waiting.shift()?.resolve(reply);
    });
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

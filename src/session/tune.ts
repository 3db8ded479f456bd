/** @file Finds the schedules of a model's kernels on this device: it reads those that were measured before, and measures others while there is time. */

import { kindTraits } from '../codegen/kernel/device.ts';
import { compileModel } from '../compile/compile.ts';
import { extentOf } from '../compile/slots.ts';
import { EbbError } from '../errors.ts';
import { tell, type Watch } from '../run/progress.ts';
import { extentBytes, type Program } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';
import { bookChooser, type Entry, emptyBook, type ScheduleBook } from '../tune/book.ts';
import { openBook, saveBook, surroundingsOf, tuningAllowed } from '../tune/file.ts';
import { collector, type OpenProblem, tune } from '../tune/tune.ts';
import { compileDeviceOf, type SessionDevice } from './sessionDevice.ts';

/** Returns the schedules that are known on a device, and none where tuning is off. @throws EbbError for a broken cache file */
export function knownSchedules({ device }: Pick<SessionDevice, 'device'>): ScheduleBook {
  const where = surroundingsOf(device.profile);
  return tuningAllowed() ? openBook(where) : emptyBook(where);
}

/** Returns the device with the schedules of `book`. A compilation adds the entries that it uses to `used`. */
export function withSchedules(device: SessionDevice, book: ScheduleBook, used: Record<string, Entry> = {}): SessionDevice {
  return {
    ...device,
    choose: bookChooser(book, (key, entry) => {
      used[key] = entry;
    }),
  };
}

/** A device, and the type that operands of products on it may be rounded to. */
export type TunedDevice = Pick<SessionDevice, 'device' | 'matmulPrecision'>;

/** Returns the kernels of a model whose schedules `book` does not know, and the program with the schedules that these start with. */
export function openProblems(
  traced: TracedModel,
  device: TunedDevice,
  book: ScheduleBook,
): { readonly problems: readonly OpenProblem[]; readonly program: Program } {
  const bounds = traced.module.dims;
  const names = [...Object.keys(bounds), 'N', 'Q', 'G'];
  const { choose, open } = collector(book, names, bounds);
  const { program } = compileModel(traced, { device: { ...compileDeviceOf(device), choose } });
  const most = device.device.profile.limits.maxStorageBufferBindingSize;
  // Kernels that bind a tensor in parts are not measured, and keep what they start with.
  const problems = open().filter(({ problem: { standard } }) => standard.lower().values.every((v) => extentBytes(extentOf(v.type), bounds) <= most));
  return { problems, program };
}

/** What is known of a model's kernels after they were measured. */
export interface Tuned {
  readonly book: ScheduleBook;
  /** The entries that were measured now. */
  readonly measured: readonly Entry[];
  /** Number of kernels that there was no time for. */
  readonly left: number;
  /** How long measuring took, in milliseconds. */
  readonly ms: number;
}

const MEASURING = 'measuring kernels';

/** Saves what was measured; a cache that cannot be written is said. @throws EbbError for a broken cache file */
function keep(book: ScheduleBook, watch: Watch): void {
  try {
    saveBook(book);
  } catch (error) {
    if (error instanceof EbbError) throw error;
    tell(watch, `what was measured is not kept for the next start: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Measures schedules for at most `seconds`, and saves them; what was measured when the signal ends it, too. @throws EbbError for a broken cache file */
export async function tuneProblems(
  problems: readonly OpenProblem[],
  known: ScheduleBook,
  { device }: TunedDevice,
  seconds: number,
  watch: Watch,
): Promise<Tuned> {
  const { onProgress, signal } = watch;
  const tellDone = (done: number, total: number, leftMs: number): void =>
    onProgress?.({ kind: 'pieces', what: MEASURING, unit: 'pieces', done, total, leftMs });
  const started = performance.now();
  const { book, left } = await tune(problems, {
    device,
    book: known,
    extentOf: (v) => extentOf(v.type),
    budgetMs: seconds * 1000,
    warmMs: kindTraits(device.profile).warmMs,
    onProblem: tellDone,
    stop: () => signal?.aborted ?? false,
  });
  tellDone(problems.length, problems.length, 0);
  keep(book, watch);
  signal?.throwIfAborted();
  const measured = Object.entries(book.entries).flatMap(([key, entry]) => (Object.hasOwn(known.entries, key) ? [] : [entry]));
  return { book, measured, left, ms: performance.now() - started };
}

/** Measures the schedules of a model that are not known yet, for at most `seconds`, and saves them. @throws EbbError for a broken cache file */
export async function tuneModel(traced: TracedModel, device: TunedDevice, seconds: number, watch: Watch = {}): Promise<Tuned> {
  const known = knownSchedules(device);
  const { problems } = openProblems(traced, device, known);
  if (problems.length === 0 || seconds === 0 || !tuningAllowed()) return { book: known, measured: [], left: problems.length, ms: 0 };
  return tuneProblems(problems, known, device, seconds, watch);
}

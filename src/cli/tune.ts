/** @file Schedules of a model's kernels on this device: what was measured before, and what there is time to measure now. */

import { kindTraits } from '../codegen/kernel/device.ts';
import { scheduleText } from '../codegen/kernel/schedules.ts';
import { compileModel } from '../compile/compile.ts';
import { extentOf } from '../compile/slots.ts';
import type { CommandDevice } from '../node/device.ts';
import { extentBytes } from '../runtime/program.ts';
import { compileDeviceOf, type SessionDevice } from '../session.ts';
import type { TracedModel } from '../trace/trace.ts';
import { bookChooser, type Entry, emptyBook, type ScheduleBook } from '../tune/book.ts';
import { openBook, saveBook, surroundingsOf, tuningAllowed } from '../tune/file.ts';
import { collector, type OpenProblem, tune } from '../tune/tune.ts';

/** What is known on a device; nothing where tuning is off. @throws EbbError for a broken cache file */
export function knownSchedules({ device }: Pick<CommandDevice, 'device'>): ScheduleBook {
  const where = surroundingsOf(device.profile);
  return tuningAllowed() ? openBook(where) : emptyBook(where);
}

/** The device with the schedules of `book`; `used` collects the entries that a compilation takes. */
export function withSchedules(device: SessionDevice, book: ScheduleBook, used: Record<string, Entry> = {}): SessionDevice {
  return {
    ...device,
    choose: bookChooser(book, (key, entry) => {
      used[key] = entry;
    }),
  };
}

/** A device with what products on it may be rounded to. */
export type TunedDevice = CommandDevice & Pick<SessionDevice, 'matmulPrecision'>;

/** Kernels of a model whose schedules `book` does not know. */
export function openProblems(traced: TracedModel, device: TunedDevice, book: ScheduleBook): OpenProblem[] {
  const bounds = traced.module.dims;
  const names = [...Object.keys(bounds), 'N', 'Q', 'G'];
  const { choose, open } = collector(book, names, bounds);
  compileModel(traced, { device: { ...compileDeviceOf(device), choose } });
  const most = device.device.profile.limits.maxStorageBufferBindingSize;
  // what is bound in parts is left as it is
  return open().filter(({ problem: { standard } }) => standard.lower().values.every((v) => extentBytes(extentOf(v.type), bounds) <= most));
}

export interface Tuned {
  readonly book: ScheduleBook;
  /** Problems measured now, and those there was no time for. */
  readonly measured: readonly Entry[];
  readonly left: number;
  /** Milliseconds of measuring. */
  readonly ms: number;
}

export interface TuneHooks {
  readonly onProblem?: (done: number, total: number, name: string) => void;
  /** Waited for before anything is measured: other work would be measured along. */
  readonly before?: () => Promise<unknown>;
}

/** Measures what is not known yet, for at most `seconds`, and keeps it. */
export async function tuneModel(traced: TracedModel, device: TunedDevice, seconds: number, { onProblem, before }: TuneHooks = {}): Promise<Tuned> {
  const known = knownSchedules(device);
  const problems = openProblems(traced, device, known);
  if (problems.length === 0 || seconds === 0 || !tuningAllowed()) return { book: known, measured: [], left: problems.length, ms: 0 };
  await before?.();
  const started = performance.now();
  const { book, left } = await tune(problems, {
    device: device.device,
    book: known,
    extentOf: (v) => extentOf(v.type),
    budgetMs: seconds * 1000,
    warmMs: kindTraits(device.device.profile).warmMs,
    ...(onProblem ? { onProblem } : {}),
  });
  saveBook(book);
  const measured = Object.entries(book.entries).flatMap(([key, entry]) => (Object.hasOwn(known.entries, key) ? [] : [entry]));
  return { book, measured, left, ms: performance.now() - started };
}

/** A table of problems: what won, how fast, and by how much over the next. */
export function entriesText(entries: readonly Entry[]): string {
  const rows = entries.map(({ name, trials }) => {
    const [best, second] = trials;
    const ms = best?.ms ?? Number.NaN;
    const lead = second?.ms ? `${(second.ms / ms).toFixed(2)}× faster than ${scheduleText(second.schedule)}` : 'nothing else was measured';
    const wrong = trials.filter((t) => t.ms === null).length;
    return `  ${name.padEnd(34)} ${ms.toFixed(2).padStart(9)} ms  ${best ? scheduleText(best.schedule) : ''}; ${lead}${wrong > 0 ? `; ${wrong} gave wrong results` : ''}`;
  });
  return rows.join('\n');
}

/** @file The schedules of a run's kernels: those that are known, and those that there is time to measure before its first step. */

import { duration, during, tell, type Watch } from '../run/progress.ts';
import { lengthOf, type RunData } from '../run/runData.ts';
import type { Program } from '../runtime/program.ts';
import type { TracedModel } from '../trace/trace.ts';
import type { RunConfig } from '../train/config.ts';
import type { ScheduleBook } from '../tune/book.ts';
import { tuningAllowed } from '../tune/file.ts';
import { expectedMs, runFlops } from './runTime.ts';
import { knownSchedules, openProblems, type TunedDevice, tuneProblems } from './tune.ts';

/** The share of a run's time that measuring may take. */
const SHARE = 0.05;
/** In less time next to nothing is measured: a kernel takes seconds on a slow device. */
const LEAST_SECONDS = 2;

/** The milliseconds that a run is expected to take. @throws EbbError for a drop plan that does not fit the model */
async function expectedTime(config: RunConfig, program: Program, { device }: TunedDevice, data: RunData, watch: Watch): Promise<number> {
  const { train } = await data.loaded;
  const flops = runFlops(program, config, lengthOf(config, { train, held: null }), train.source);
  return during(watch, 'measuring how fast the device is', () => expectedMs(device, flops, config.matmulPrecision));
}

const kernels = (count: number): string => `${count} ${count === 1 ? 'kernel' : 'kernels'}`;

/**
 * The schedules that are known, after those that are not were measured for as long as `tune` says; it tells how long that may take, and how long it did.
 * Measuring waits for the data, since other work at the same time would change the times.
 * @throws EbbError for a broken cache file, data that cannot be used, and a drop plan that does not fit the model
 */
export async function measuredSchedules(config: RunConfig, traced: TracedModel, device: TunedDevice, data: RunData, watch: Watch): Promise<ScheduleBook> {
  const known = knownSchedules(device);
  if (config.tune === 'off' || config.tune === 0 || !tuningAllowed()) return known;
  const { problems, program } = await during(watch, 'looking for kernels that were never measured', () => openProblems(traced, device, known));
  if (problems.length === 0) return known;
  await data.loaded;
  const runMs = config.tune === 'auto' ? await expectedTime(config, program, device, data, watch) : null;
  watch.signal?.throwIfAborted();
  const seconds = typeof config.tune === 'number' ? config.tune : (SHARE * (runMs ?? 0)) / 1000;
  const unknown = `${kernels(problems.length)} of this model ${problems.length === 1 ? 'was' : 'were'} never measured on this device`;
  if (runMs !== null && seconds < LEAST_SECONDS) {
    tell(watch, `${unknown}, and the run, which takes about ${duration(runMs)}, is too short to do it now; ebb tune measures them`);
    return known;
  }
  const why = runMs === null ? 'as tune says' : `${100 * SHARE} % of the ${duration(runMs)} that the run takes or so`;
  tell(watch, `${unknown}: measuring for at most ${duration(1000 * seconds)}, ${why}; ebb tune measures all`);
  const { book, measured, left, ms } = await tuneProblems(problems, known, device, seconds, watch);
  const more = left > 0 ? `; ${left} keep the schedules that they start with (ebb tune measures all)` : '';
  tell(watch, `measured ${kernels(measured.length)} in ${(ms / 1000).toFixed(1)} s${more}`);
  return book;
}

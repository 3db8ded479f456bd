/** @file The processor time of this thread. Unlike wall time, it does not grow when other programs use the machine. */

import { createRequire } from 'node:module';

/** The clock of the calling thread for clock_gettime on Linux. */
const THREAD_CPUTIME = 3;

interface Koffi {
  load(library: string): { func(prototype: string): (clock: number, time: BigInt64Array) => number };
}

/** Returns a clock in milliseconds: of this thread's processor time on Linux, of wall time elsewhere. */
export function threadClock(): { readonly name: 'thread' | 'wall'; now(): number } {
  if (process.platform !== 'linux') return { name: 'wall', now: () => performance.now() };
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const clockGettime = koffi.load('libc.so.6').func('int clock_gettime(int clock, _Out_ int64_t *time)');
  const time = new BigInt64Array(2);
  return {
    name: 'thread',
    now() {
      clockGettime(THREAD_CPUTIME, time);
      return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
    },
  };
}

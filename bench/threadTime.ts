/** @file How long this thread has had a processor: unlike wall time, neighbours on the machine do not count. */

import { createRequire } from 'node:module';

/** clock_gettime's clock of the calling thread, on Linux. */
const THREAD_CPUTIME = 3;

interface Koffi {
  load(library: string): { func(prototype: string): (clock: number, time: BigInt64Array) => number };
}

/** A clock in milliseconds: of the thread on Linux, elsewhere of the wall. */
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

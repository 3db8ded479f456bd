/**
 * @file Waiting for the device without burning a core. Dawn in Node turns in circles while a promise of it is pending; where the device is
 * a CPU that takes a third of its speed. So a step's promise is asked for only when most of its expected time is over, and while it is
 * pending the thread sleeps a little between turns.
 */

export interface Ticket {
  /** Resolves some time before the work is expected to be done; at once while nothing is known. */
  rest(): Promise<void>;
  /** Waits for a promise of the device, asleep for a hundredth of the time it has taken so far between turns. */
  pending<T>(promise: Promise<T>): Promise<T>;
  /** The work is done. */
  finished(): void;
}

export interface Patience {
  /**
   * Work was submitted behind all that was submitted before.
   * @param size in any unit that time is about proportional to; 0 says nothing about the time
   */
  submitted(size: number): Ticket;
}

export interface PatienceOptions {
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** Blocks the thread. */
  readonly nap?: (ms: number) => void;
}

/** The first steps compile. */
const BEFORE_RESTING = 2;
/**
 * Share of the expected time to rest, and the least rest that is worth a timer. Steps of other patterns take up to a fifth less than their
 * size says; one that is overslept leaves the device idle, and what is left of the others is spent in naps.
 */
const SHARE = 0.8;
const LEAST_MS = 3;
/** Naps: their share of the time so far, and what is too short and too long for one. */
const NAP = { share: 0.01, leastMs: 0.1, mostMs: 2 };
/** Work that was done before the rest was over took less than expected, nobody knows by how much. */
const OVERSLEPT = 0.8;
/** A step that was disturbed says little about the next: expectations grow slowly. */
const GROWTH = 1.1;

/** Whether a pending promise of the device keeps the thread busy: in Node, not in browsers, whose timers are slow besides. */
const spins = (): boolean => 'process' in globalThis;

export function createPatience({ now = () => performance.now(), sleep = timer, nap = block }: PatienceOptions = {}): Patience {
  /** Expected milliseconds of work of size 1. */
  let rate: number | null = null;
  let seen = 0;
  let lastFinished = 0;
  const observe = (observed: number, overslept: boolean): void => {
    if (rate === null) rate = observed;
    else rate = overslept ? OVERSLEPT * rate : Math.min(observed, GROWTH * rate);
  };
  return {
    submitted(size) {
      const at = now();
      let woken: number | null = null;
      return {
        async rest() {
          if (rate === null || seen < BEFORE_RESTING || !spins()) return;
          const ms = Math.max(at, lastFinished) + SHARE * size * rate - now();
          if (ms < LEAST_MS) return;
          await sleep(ms);
          woken = now();
        },
        pending(promise) {
          let over = false;
          const settled = (): void => {
            over = true;
          };
          promise.then(settled, settled);
          const turn = (): void => {
            if (over) return;
            const ms = Math.min(NAP.mostMs, NAP.share * (now() - Math.max(at, lastFinished)));
            if (ms >= NAP.leastMs) nap(ms);
            again();
          };
          // Dawn keeps the process alive for as long as it has a promise to settle; naps alone do not
          const again = (): void => void setImmediate(turn).unref();
          if (spins()) again();
          return promise;
        },
        finished() {
          const done = now();
          if (size > 0) {
            seen++;
            // the very first one says nothing
            if (seen > 1) observe((done - Math.max(at, lastFinished)) / size, woken !== null && done - woken < LEAST_MS);
          }
          lastFinished = done;
        },
      };
    },
  };
}

function timer(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Blocks the thread. Only Node may call it, since a page may have no shared memory. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

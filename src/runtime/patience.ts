/**
 * @file Waiting for the device without burning a core. Dawn in Node turns in circles while a promise of it is pending; where the device is
 * a CPU that takes a third of its speed. So a step's promise is asked for only shortly before the step is expected to be done.
 */

export interface Ticket {
  /** Resolves shortly before the work is expected to be done; at once while nothing is known. */
  rest(): Promise<void>;
  /** The work is done. */
  finished(): void;
}

export interface Patience {
  /** Work was submitted behind all that was submitted before; `size` in any unit that time is about proportional to. */
  submitted(size: number): Ticket;
}

export interface PatienceOptions {
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** The first steps compile. */
const BEFORE_RESTING = 2;
/** Share of the expected time to rest, and the least rest that is worth a timer. */
const SHARE = 0.92;
const LEAST_MS = 3;
/** Work that was done before the rest was over took less than expected, nobody knows by how much. */
const OVERSLEPT = 0.8;
/** A step that was disturbed says little about the next: expectations grow slowly. */
const GROWTH = 1.1;

/** Whether a pending promise of the device keeps the thread busy: in Node, not in browsers, whose timers are slow besides. */
const spins = (): boolean => 'process' in globalThis;

export function createPatience({ now = () => performance.now(), sleep = timer }: PatienceOptions = {}): Patience {
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
        finished() {
          const done = now();
          seen++;
          // the very first one says nothing
          if (seen > 1 && size > 0) observe((done - Math.max(at, lastFinished)) / size, woken !== null && done - woken < LEAST_MS);
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

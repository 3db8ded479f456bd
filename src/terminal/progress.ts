/** @file Shows the progress of work on stderr: a line of status on a terminal, which leaves nothing behind but whole lines; plain lines elsewhere. */

import { duration, type Progress, type Watch } from '../run/progress.ts';
import { wantsColour } from './colour.ts';
import { type Layout, LOG, mebibytes, statusLine } from './status.ts';
import { NOTHING_WATCHED, statusOf, stepsStatus, type Watched, type WatchedSteps, watched } from './watched.ts';

/** Shows what work tells. */
export interface ProgressPrinter {
  /** Shows what is told. */
  readonly onProgress: (progress: Progress) => void;
  /** Ends the line of status: a run's last one stays, any other is taken away. */
  end(): void;
}

/** What progress is shown on: stderr, or what stands for it. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A line of status is drawn at most this often. */
const DRAWN_EVERY_MS = 100;
/** While nothing is told, time goes on in what is shown. */
const TICK_MS = 250;
/** Without a terminal lines of steps are written at most this often, and one of what goes on where nothing else was; nobody waits 5 s for a word. */
const STEPS_EVERY_MS = 3000;
const SILENT_MS = 4000;
/** Lines of steps that stay on a terminal: the first after so long, and then the rarer the longer the run has gone on. */
const HISTORY_MS = 10_000;
const HISTORY_SHARE = 1 / 20;
const USUAL_COLUMNS = 80;

/** Carriage return and "erase to the end of the screen" (ECMA-48): a line that was drawn before the terminal became narrower goes on below. */
const ERASE = '\r\u001b[J';

/** How a kind of stream shows what is known. */
interface Display {
  /** Shows what is known now. @param told what has just been told; null when only time has passed */
  show(known: Watched, told: Progress | null, now: number): void;
  end(known: Watched): void;
}

/** A line of status that is drawn over; sentences and some lines of steps stay above it. */
function terminalDisplay(stream: ProgressStream, colour: boolean): Display {
  const started = performance.now();
  let drawnAt = Number.NEGATIVE_INFINITY;
  let keptAt = started;
  let keptStep: number | null = null;
  let shown = '';
  const erase = (): void => {
    if (shown !== '') stream.write(ERASE);
    shown = '';
  };
  const write = (line: string): void => {
    // a terminal may have put a ^C there
    stream.write(`${ERASE}${line}\n`);
    shown = '';
  };
  // the last column stays free, as some terminals go on to the next line when it is filled
  const layout = (bar: Layout['bar']): Layout => ({ columns: (stream.columns ?? USUAL_COLUMNS) - 1, bar });
  const draw = (known: Watched, now: number): void => {
    const status = statusOf(known, now);
    const line = status === null ? '' : statusLine(status, layout(colour ? 'coloured' : 'plain'));
    if (line === shown) return;
    if (line === '') {
      erase();
      return;
    }
    // the cursor waits at the start, so that what others write, or the ^C of a terminal, does not begin behind the line
    stream.write(`${ERASE}${line}\r`);
    [shown, drawnAt] = [line, now];
  };
  /** Leaves the line of a step above the line of status. */
  const keep = ({ steps }: Watched, now: number): void => {
    if (!steps || steps.last.metrics.step === keptStep) return;
    write(statusLine(stepsStatus(steps, steps.toldAt), layout('none')));
    [keptAt, keptStep] = [now, steps.last.metrics.step];
  };
  return {
    show(known, told, now) {
      if (told?.kind === 'note') write(told.text);
      if (told?.kind === 'step' && (told.metrics.step === told.steps || now - keptAt >= Math.max(HISTORY_MS, HISTORY_SHARE * (now - started))))
        keep(known, now);
      const isStep = told?.kind === 'step' || (told?.kind === 'pieces' && told.done < told.total);
      if (!isStep || now - drawnAt >= DRAWN_EVERY_MS) draw(known, now);
    },
    end(known) {
      keep(known, performance.now());
      erase();
    },
  };
}

/** So many bytes take long to download, read or write. */
const MANY_BYTES = 16 * 2 ** 20;

/** What is said when work begins; null for what says so when it takes long. */
function beginningOf({ what, pieces }: Watched['works'][number]): string | null {
  if (pieces === null) return what;
  return pieces.unit === 'bytes' && pieces.total >= MANY_BYTES ? `${what}, ${mebibytes(pieces.total)} MiB` : null;
}

/** Plain lines: what begins, steps from time to time, and how far work is where nothing else was said for a while. */
function plainDisplay(stream: ProgressStream, patienceMs: number): Display {
  let writtenAt = performance.now();
  let [stepAt, writtenStep] = [Number.NEGATIVE_INFINITY, 0];
  /** Work that was announced. */
  let announced: ReadonlySet<string> = new Set();
  const write = (line: string, now: number): void => {
    stream.write(`${line}\n`);
    writtenAt = now;
  };
  const writeStep = (steps: WatchedSteps, now: number): void => {
    write(statusLine(stepsStatus(steps, steps.toldAt), LOG), now);
    [stepAt, writtenStep] = [now, steps.last.metrics.step];
  };
  /** Says what has begun: work that may keep the thread, and many bytes; other work when it takes long. */
  const announce = ({ works }: Watched, now: number): void => {
    const begun = works.filter(({ begunAt }) => now - begunAt >= patienceMs);
    for (const work of begun) {
      const text = beginningOf(work);
      if (text !== null && !announced.has(work.what)) write(text, now);
    }
    announced = new Set(works.filter((work) => announced.has(work.what) || begun.includes(work)).map(({ what }) => what));
  };
  /** Says what still goes on. */
  const stillThere = (known: Watched, now: number): void => {
    const status = statusOf(known, now);
    const { steps } = known;
    if (status?.kind === 'work') write(statusLine(status, LOG), now);
    else if (steps && steps.last.metrics.step !== writtenStep) writeStep(steps, now);
    else if (steps) write(`step ${steps.last.metrics.step + 1}/${steps.last.steps}  under way for ${duration(now - steps.toldAt)}`, now);
  };
  return {
    show(known, told, now) {
      if (told?.kind === 'note') write(told.text, now);
      announce(known, now);
      const isDue = told?.kind === 'step' && (now - stepAt >= STEPS_EVERY_MS || told.metrics.step === told.steps);
      if (isDue && known.steps) writeStep(known.steps, now);
      else if (now - writtenAt >= SILENT_MS) stillThere(known, now);
    },
    end: () => {},
  };
}

/** How work is shown. */
interface PrinterOptions {
  /** Default: stderr. */
  readonly stream?: ProgressStream;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Without a terminal, milliseconds for which work may go on before it is said that it has begun; default 0. */
  readonly patienceMs?: number;
}

/** Creates the display of work. */
export function progressPrinter({ stream = process.stderr, env = process.env, patienceMs = 0 }: PrinterOptions = {}): ProgressPrinter {
  const isTerminal = stream.isTTY === true && env['TERM'] !== 'dumb';
  const display = isTerminal ? terminalDisplay(stream, wantsColour(env, stream)) : plainDisplay(stream, patienceMs);
  let known = NOTHING_WATCHED;
  const show = (told: Progress | null): void => display.show(known, told, performance.now());
  let clock: ReturnType<typeof setInterval> | null = null;
  return {
    onProgress(told) {
      // the note beside it says as much
      if (told.kind === 'measured') return;
      known = watched(known, told, performance.now());
      show(told);
      // behind the last step there is nothing to wait for
      if (told.kind === 'step' && told.metrics.step === told.steps) known = { ...known, steps: null };
      clock ??= setInterval(() => show(null), TICK_MS).unref();
    },
    end() {
      if (clock) clearInterval(clock);
      clock = null;
      display.end(known);
      known = NOTHING_WATCHED;
    },
  };
}

/** Runs work whose progress is shown on stderr. Where nobody sits at a terminal, quick commands stay silent: what begins is not said, what takes long is. */
export async function withProgress<T>(work: (watch: Watch) => Promise<T>): Promise<T> {
  const printer = progressPrinter({ patienceMs: SILENT_MS });
  try {
    return await work({ onProgress: printer.onProgress });
  } finally {
    printer.end();
  }
}

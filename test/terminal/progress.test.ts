/** @file Progress on a terminal, whose screen a small emulator keeps, and elsewhere: what is read, when, and that nothing is left behind but whole lines. */

import fc from 'fast-check';
import { during, type Progress, pieces, tell } from '../../src/run/progress.ts';
import { type ProgressPrinter, type ProgressStream, progressPrinter } from '../../src/terminal/progress.ts';
import { columnsOf } from '../../src/terminal/width.ts';
import type { StepMetrics } from '../../src/train/loop.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());
const wait = (ms: number): void => void jest.advanceTimersByTime(ms);

const STEPS = 20;
const step = (of: number): Progress => ({
  kind: 'step',
  metrics: { step: of, loss: 2, tokens: 30, ms: 100, dropped: [['a'], []] } as unknown as StepMetrics,
  steps: STEPS,
  units: 4,
});

interface Screen extends ProgressStream {
  /** Lines from the top, the one with the cursor last. */
  lines(): readonly string[];
  /** What is before the cursor in its line. */
  cursor(): string;
}

/** A terminal: text goes where the cursor is, and nobody writes beyond the last column. */
function screen(columns: number): Screen {
  const lines = [''];
  let at = 0;
  return {
    isTTY: true,
    columns,
    write(text) {
      for (const [part] of text.matchAll(/\u001b\[J|\r|\n|[^\u001b\r\n]+/g)) {
        const line = lines.at(-1)!;
        if (part === '\r') at = 0;
        else if (part === '\n') at = lines.push('') * 0;
        else if (part === '\u001b[J') lines[lines.length - 1] = line.slice(0, at);
        else {
          lines[lines.length - 1] = line.slice(0, at) + part + line.slice(at + part.length);
          at += part.length;
        }
        // a sentence may be as long as it has to be: the terminal breaks it
        if (part.startsWith('step ')) expect(columnsOf(lines.at(-1)!)).toBeLessThan(columns);
      }
    },
    lines: () => lines,
    cursor: () => lines.at(-1)!.slice(0, at),
  };
}

const ENV = { TERM: 'xterm', NO_COLOR: '1' };
function onTerminal(columns = 80): { readonly screen: Screen; readonly printer: ProgressPrinter } {
  const own = screen(columns);
  return { screen: own, printer: progressPrinter({ stream: own, env: ENV }) };
}

describe('on a terminal', () => {
  it('work is a line that is drawn over, and gone when it has ended', async () => {
    const { screen, printer } = onTerminal();
    const done = during(printer, 'compiling the model', () => new Promise((end) => setTimeout(end, 2600)));
    expect(screen.lines()).toEqual(['compiling the model']);
    wait(2100);
    expect(screen.lines()).toEqual(['compiling the model  2 s']);
    wait(500);
    await done;
    expect(screen.lines()).toEqual(['']);
    printer.end();
  });

  it('a line of a step stays every so often, the last one always', () => {
    const { screen, printer } = onTerminal();
    for (let i = 1; i < STEPS; i++) {
      wait(1000);
      printer.onProgress(step(i));
    }
    const line = (of: number): string => expect.stringMatching(new RegExp(`^step ${of}/${STEPS}  loss 2.0000 .* eta`));
    expect(screen.lines()).toEqual([line(10), expect.stringMatching(/^step 19\/20 /)]);
    printer.onProgress(step(STEPS));
    expect(screen.lines()).toEqual([line(10), expect.stringMatching(/^step 20\/20 {2}loss 2.0000 {2}mean 2.0000 {2}300 tok\/s {2}dropped 13 %$/), '']);
    printer.end();
    expect(screen.lines()).toHaveLength(3);
  });

  it('a sentence, such as the notice of a Ctrl-C, is a line of its own above the line of status, and ^C is gone', () => {
    const { screen, printer } = onTerminal();
    printer.onProgress(step(1));
    screen.write('^C');
    tell(printer, 'stopping');
    expect(screen.lines()).toEqual(['stopping', expect.stringMatching(/^step 1\/20 /)]);
    expect(screen.cursor()).toBe('');
    printer.end();
    expect(screen.lines()).toEqual(['stopping', expect.stringMatching(/^step 1\/20 /), '']);
  });

  it('is coloured unless NO_COLOR says otherwise, and a dumb terminal has plain lines', () => {
    const written = (env: Record<string, string>): string => {
      let text = '';
      const printer = progressPrinter({ stream: { isTTY: true, columns: 80, write: (more) => (text += more) }, env });
      pieces(printer, 'compiling kernels')(1, 2);
      wait(5000);
      printer.end();
      return text;
    };
    expect(written({ TERM: 'xterm' })).toContain('\u001b[36m██');
    expect(written({ TERM: 'xterm', NO_COLOR: '1' })).not.toMatch(/\u001b\[\d/);
    expect(written({ TERM: 'dumb' })).toBe('compiling kernels  1/2  4 s\n');
  });

  const anyTold = fc.oneof(
    fc.record({ kind: fc.constant('step' as const), at: fc.integer({ min: 1, max: STEPS }) }),
    fc.record({ kind: fc.constant('note' as const), text: fc.constantFrom('a sentence', 'another one') }),
    fc.record({
      kind: fc.constant('work' as const),
      what: fc.constantFrom('a', 'b', 'x'.repeat(200)),
      state: fc.constantFrom('begun' as const, 'ended' as const),
    }),
    fc.record({
      kind: fc.constant('pieces' as const),
      what: fc.constantFrom('b', 'c'),
      unit: fc.constant('bytes' as const),
      done: fc.nat(2),
      total: fc.constant(2),
    }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(15_000) }),
  );
  it('leaves whole lines of sentences and steps behind, whatever is told', () => {
    fc.assert(
      fc.property(fc.array(anyTold), fc.integer({ min: 20, max: 100 }), (told, columns) => {
        const { screen, printer } = onTerminal(columns);
        for (const one of told)
          if (one.kind === 'wait') wait(one.ms);
          else printer.onProgress(one.kind === 'step' ? step(one.at) : one);
        printer.end();
        wait(5000);
        const lines = [...screen.lines()];
        expect(lines.pop()).toBe('');
        for (const line of lines) expect(line).toMatch(/^(a sentence|another one|step \d+\/20( {2}loss 2\.0000.*)?)$/);
        expect(lines.filter((line) => !line.startsWith('step'))).toHaveLength(told.filter(({ kind }) => kind === 'note').length);
      }),
    );
  });
});

describe('elsewhere', () => {
  let lines: { readonly at: number; readonly text: string }[];
  let started: number;
  let printer: ProgressPrinter;
  beforeEach(() => {
    lines = [];
    started = performance.now();
    printer = progressPrinter({ stream: { write: (text) => lines.push({ at: performance.now() - started, text }) }, env: {} });
  });
  afterEach(() => printer.end());
  const texts = (): string[] => lines.map(({ text }) => text);

  it('work says when it begins, and that it still goes on', async () => {
    const done = during(printer, 'compiling the model', () => new Promise((end) => setTimeout(end, 10_000)));
    wait(10_000);
    await done;
    wait(10_000);
    expect(texts()).toEqual(['compiling the model\n', 'compiling the model  4 s\n', 'compiling the model  8 s\n']);
  });

  it('a command has patience: what ends before is not said, what goes on is', () => {
    const own = progressPrinter({ stream: { write: (text) => lines.push({ at: performance.now() - started, text }) }, env: {}, patienceMs: 700 });
    own.onProgress({ kind: 'work', what: 'reading', state: 'begun' });
    wait(600);
    own.onProgress({ kind: 'work', what: 'reading', state: 'ended' });
    own.onProgress({ kind: 'work', what: 'compiling', state: 'begun' });
    wait(1000);
    own.end();
    expect(lines).toEqual([{ at: 1500, text: 'compiling\n' }]);
  });

  it('a held-out evaluation between steps says how far it is, when it takes long', () => {
    printer.onProgress(step(1));
    for (let done = 0; done <= 8; done++) {
      pieces(printer, 'held-out evaluation')(done, 8);
      if (done < 8) wait(2000);
    }
    tell(printer, 'held-out loss');
    expect(texts()).toEqual([
      'step 1/20  loss 2.0000  mean 2.0000  300 tok/s  dropped 13 %\n',
      'held-out evaluation  1/8  4 s\n',
      'held-out evaluation  3/8  8 s\n',
      'held-out evaluation  5/8  12 s\n',
      'held-out evaluation  7/8  16 s\n',
      'held-out loss\n',
    ]);
  });

  it('many bytes are announced, and followed when they take long; few are not', () => {
    pieces(printer, 'downloading a.json', 'bytes')(100, 100);
    for (const done of [0, 10, 20, 30]) {
      pieces(printer, 'downloading b.safetensors', 'bytes')(done * 2 ** 20, 30 * 2 ** 20);
      wait(3000);
    }
    expect(texts()).toEqual([
      'downloading b.safetensors, 30 MiB\n',
      'downloading b.safetensors  10/30 MiB  4 s\n',
      'downloading b.safetensors  20/30 MiB  8 s\n',
    ]);
  });

  it('quick steps are told from time to time, slow ones each, and while one is waited for', () => {
    for (let i = 1; i < 10; i++) {
      printer.onProgress(step(i));
      wait(1000);
    }
    wait(7500);
    printer.onProgress(step(10));
    expect(texts().map((text) => text.split('  ').slice(0, 2))).toEqual([
      ['step 1/20', 'loss 2.0000'],
      ['step 4/20', 'loss 2.0000'],
      ['step 7/20', 'loss 2.0000'],
      ['step 9/20', 'loss 2.0000'],
      ['step 10/20', 'under way for 6 s\n'],
      ['step 10/20', 'loss 2.0000'],
    ]);
  });

  it('nobody waits five seconds for a word, whatever is told and for however long', () => {
    const anyTold = fc.record({ what: fc.constantFrom('step', 'pieces', 'work'), ms: fc.nat(12_000) });
    fc.assert(
      fc.property(fc.array(anyTold, { minLength: 1 }), (told) => {
        lines = [];
        started = performance.now();
        const own = progressPrinter({ stream: { write: (text) => lines.push({ at: performance.now() - started, text }) }, env: {} });
        own.onProgress({ kind: 'work', what: 'starting', state: 'begun' });
        for (const [i, { what, ms }] of told.entries()) {
          if (what === 'step') own.onProgress(step((i % (STEPS - 1)) + 1));
          else if (what === 'work') own.onProgress({ kind: 'work', what: `work ${i}`, state: 'begun' });
          else pieces(own, 'pieces')(i % 3, 7);
          wait(ms);
        }
        own.end();
        const times = [0, ...lines.map(({ at }) => at), performance.now() - started];
        expect(Math.max(...times.slice(1).map((at, i) => at - times[i]!))).toBeLessThan(5000);
        for (const { text } of lines) expect(text).toMatch(/^[^\n\r\u001b]+\n$/);
      }),
    );
  });
});

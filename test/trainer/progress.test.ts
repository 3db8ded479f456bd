/** @file Progress elsewhere than on a terminal: plain lines, not too many; an evaluation shows how far it is. */

import { pieces, tell } from '../../src/run/progress.ts';
import { progressPrinter } from '../../src/terminal/progress.ts';
import type { StepMetrics } from '../../src/train/loop.ts';

let lines: string[];
let now: number;
const terminal = process.stderr.isTTY;
beforeEach(() => {
  lines = [];
  now = 1e5;
  process.stderr.isTTY = false;
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  jest.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  jest.restoreAllMocks();
  process.stderr.isTTY = terminal;
});

it('a held-out evaluation between steps says how far it is, when it takes long', () => {
  const printer = progressPrinter();
  const metrics = { step: 1, loss: 2, tokens: 30, ms: 100, dropped: [['a'], []] } as unknown as StepMetrics;
  printer.onProgress({ kind: 'step', metrics, steps: 3, units: 4 });
  for (let done = 1; done <= 8; done++) {
    now += 6000;
    pieces(printer, 'held-out evaluation')(done, 8);
  }
  tell(printer, 'held-out loss');
  printer.end();
  expect(lines).toEqual([
    'step 1/3  loss 2.0000  300 tok/s  backward dropped 13 %\n',
    'held-out evaluation 3/8\n',
    'held-out evaluation 5/8\n',
    'held-out evaluation 7/8\n',
    'held-out loss\n',
  ]);
});

it('each file of a download is announced, and followed when it takes long', () => {
  const printer = progressPrinter();
  pieces(printer, 'downloading a.json', 'bytes')(100, 100);
  for (const done of [1, 2, 3]) {
    now += 11_000;
    pieces(printer, 'downloading b.safetensors', 'bytes')(done * 2 ** 20, 3 * 2 ** 20);
  }
  expect(lines).toEqual(['downloading a.json, 1 MiB\n', 'downloading b.safetensors, 3 MiB\n', 'downloading b.safetensors, MiB 2/3\n']);
});

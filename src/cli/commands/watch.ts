/** @file `ebb watch`: a run while it goes on, on the terminal or on a page. */

import { clearScreenDown, moveCursor } from 'node:readline';
import { type RunView, serveRun, watchRun } from '../../session/runs.ts';
import { count, print, say } from '../../terminal/options.ts';
import type { AddOptions } from '../addOptions.ts';
import { givenOptions, refuseUnread } from '../given.ts';
import { endText, screen, stepText } from '../text/watch.ts';

/** Lines of steps are written to a pipe at most this often. */
const EVERY_MS = 2000;

/** Draws views over one another. */
function redrawing(out: NodeJS.WriteStream): (view: RunView) => void {
  let height = 0;
  return (view) => {
    const lines = screen(view, out.columns, out.rows - 1);
    moveCursor(out, 0, -height);
    clearScreenDown(out);
    out.write(`${lines.join('\n')}\n`);
    height = lines.length;
  };
}

/** Writes what is new in lines that stay: every held-out loss, and steps now and then. */
function logging(): (view: RunView) => void {
  let [told, toldMs] = [-1, Number.NEGATIVE_INFINITY];
  return (view) => {
    const { curve, steps, state } = view;
    if (state !== 'running') return;
    // what was there before is told by the line of the step
    const since = told < 0 ? curve.heldOut.slice(-1) : curve.heldOut.filter(({ step }) => step > told);
    for (const { step, loss } of since) {
      print(`step ${step}: held-out loss ${loss.toFixed(4)}`);
      told = step;
    }
    if (performance.now() - toldMs < EVERY_MS || steps.done === 0) return;
    toldMs = performance.now();
    print(stepText(view));
  };
}

/** `ebb watch`. */
export const watchCommand: AddOptions = (command) =>
  command
    .argument('<run>', 'the folder of a run that goes on')
    .option('--html', 'serve a page on 127.0.0.1 while the run goes on, which shows what is new')
    .option('--port <n>', 'port of the page; default one that is free', count)
    .action(async (folder: string, { html = false, port }: { readonly html?: boolean; readonly port?: number }) => {
      if (!html) refuseUnread(givenOptions(command), ['port'], 'without --html nothing is served', (option) => `give --html, or leave ${option} out`);
      if (html) {
        const { url, ended } = await serveRun(folder, { port });
        say(`${url} shows ${folder} until the run ends, or until Ctrl-C`);
        print(endText(await ended));
        return;
      }
      const show = process.stdout.isTTY ? redrawing(process.stdout) : logging();
      let last: RunView | undefined;
      for await (const view of watchRun(folder)) {
        show(view);
        last = view;
      }
      if (last && !process.stdout.isTTY) print(endText(last));
    });

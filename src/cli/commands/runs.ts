/** @file `ebb runs`: a table of the runs in folders, or a page with their losses laid over one another. */

import { join } from 'node:path';
import { amount } from '../../inspect/report.ts';
import { CONFIG } from '../../run/earlierRun.ts';
import { METRICS } from '../../run/metrics.ts';
import { checkOutFile } from '../../run/outputs.ts';
import { listRuns, type RunList, runsPage } from '../../session/runs.ts';
import { print, say } from '../../terminal/options.ts';
import type { AddOptions } from '../addOptions.ts';
import { writePage } from '../page.ts';
import { runsText } from '../text/runs.ts';

/** Writes the page of the runs in folders. Returns the runs. */
function pageOf(folders: readonly string[], file: string): RunList {
  const { html, ...list } = runsPage(folders);
  const inputs = list.runs.flatMap(({ folder }) => [CONFIG, METRICS].map((name) => ({ what: 'a run that is shown', path: join(folder, name) })));
  checkOutFile(file, '--html', inputs);
  say(`${file}: ${amount(writePage(file, html), 'B').trim()}`);
  return list;
}

/** `ebb runs`. */
export const runsCommand: AddOptions = (command) =>
  command
    .argument('[folder...]', 'run folders, or folders with runs up to two levels below; default this folder')
    .option('--html <file>', 'write a page with the losses of the runs laid over one another')
    .option('--json', 'print JSON')
    .action((given: string[], { html, json }: { readonly html?: string; readonly json?: boolean }) => {
      const folders = given.length > 0 ? given : ['.'];
      const { runs, problems } = html === undefined ? listRuns(folders) : pageOf(folders, html);
      for (const problem of problems) say(`left out: ${problem}`);
      if (json) print(JSON.stringify({ runs, problems }, null, 2));
      else if (runs.length > 0) print(runsText(runs, process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY));
    });

/** @file `ebb analyze`: measures which drop rate a run should have, on its model and data. */

import { type Command, InvalidArgumentError } from 'commander';
import { reportPage } from '../../analyze/html.ts';
import { SAMPLINGS, SPREADS } from '../../analyze/settings.ts';
import { analyzeText } from '../../analyze/text.ts';
import { amount } from '../../inspect/report.ts';
import { checkOutFile } from '../../run/outputs.ts';
import { type AnalyzeRunOptions, analyze } from '../../session/library.ts';
import type { RunFlags } from '../../terminal/flags.ts';
import { list, listOption, positive, print, say, share } from '../../terminal/options.ts';
import { withProgress } from '../../terminal/progress.ts';
import type { AddOptions } from '../addOptions.ts';
import { givenOptions, tellUnread } from '../given.ts';
import { writePage } from '../page.ts';
import { addModelRunFlags, inputsOfRun, RUNNING, runOptionsOf } from '../runInput.ts';

interface AnalyzeFlags extends RunFlags, Pick<AnalyzeRunOptions, 'rates' | 'samplings' | 'batches' | 'patterns' | 'rounds'> {
  readonly allocations?: AnalyzeRunOptions['spreads'];
  readonly runs?: readonly string[];
  readonly html?: string;
}

const shares = (text: string): number[] => list(text).map(share);

/** Parses words between commas, each of which is one of `known`. */
const words =
  <T extends string>(known: readonly T[]) =>
  (text: string): T[] =>
    list(text).map((word) => {
      const found = known.find((k) => k === word);
      if (found === undefined) throw new InvalidArgumentError(`expected some of ${known.join(', ')}.`);
      return found;
    });

/** Parses a number of patterns. A single pattern has no variance to measure. */
function patterns(text: string): number {
  const count = positive(text);
  if (count < 2) throw new InvalidArgumentError('expected a whole number, 2 or more.');
  return count;
}

/** `ebb analyze`. */
export const analyzeCommand: AddOptions = (command) =>
  addModelRunFlags(
    command
      .addOption(listOption('--rates <p,…>', 'target rates', shares, [0.25, 0.5, 0.75, 0.875]))
      .addOption(
        listOption(
          '--allocations <a,…>',
          `how a rate is spread over the units, some of ${SPREADS.join(', ')}; default as the run's drop plan does`,
          words(SPREADS),
        ),
      )
      .addOption(listOption('--samplings <s,…>', 'how units are drawn', words(SAMPLINGS), SAMPLINGS))
      .option('--batches <n>', 'number of steps whose batches are taken', positive, 4)
      .option('--patterns <n>', 'number of patterns of each setting on each batch', patterns, 8)
      .option('--rounds <n>', 'number of times that each pattern is timed', positive, 3)
      .option('--runs <dir...>', 'run folders whose losses are shown side by side')
      .option('--html <file>', 'write a page with plots'),
  ).action(async (file: string | undefined, flags: AnalyzeFlags, own: Command) => {
    const given = givenOptions(own);
    tellUnread(given, RUNNING, 'ebb analyze trains nothing');
    tellUnread(given, ['drop-rate'], 'ebb analyze measures the rates of --rates');
    tellUnread(given, ['memory-budget'], 'ebb analyze keeps everything of a step, as sensitivities and full gradients need');
    const options = runOptionsOf(file, flags);
    const { rates, allocations: spreads, samplings, batches, patterns, rounds, runs, html, json } = flags;
    if (html !== undefined) checkOutFile(html, '--html', inputsOfRun(options));
    const report = await withProgress((watch) => analyze({ ...options, ...watch, rates, spreads, samplings, batches, patterns, rounds, runs }));
    if (html !== undefined) say(`${html}: ${amount(writePage(html, reportPage(report)), 'B').trim()}`);
    print(json ? JSON.stringify(report, null, 2) : analyzeText(report));
  });

/**
 * Ebb beside other libraries: matmuls, training steps and DropBP, in turns, in one run. bench/README.md says how to read it.
 *
 *   npm run bench [-- --quick]
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Contest, openContest } from './contest.ts';
import { ENTRIES, type Entry } from './entries.ts';
import { describeMachine, ensureData, ensurePeers, missing } from './machine.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import { drawPlots } from './plots.ts';
import { page, type Results } from './report.ts';
import { type DropResult, dropping, dropTable, RANK, summarise } from './sections/dropbp.ts';
import { type MatmulResult, matmuls, matmulTable } from './sections/matmul.ts';
import { type StepResult, steps, stepTable } from './sections/step.ts';

const log = (text: string): void => console.log(text);

async function measure(options: Options): Promise<Results> {
  const { adapter, rounds, limit, patterns } = options;
  const failed = new Map<string, string>();
  const about: Results['about'] & Map<string, { library: string; device: string }> = new Map();
  const fail = (name: string, why: string): void => {
    failed.set(name, why);
    console.error(`${name} is left out: ${why}`);
  };
  const taking = ENTRIES.filter((e) => options.only.includes(e.name)).filter((e) => {
    const why = missing(e);
    if (why !== null) fail(e.name, why);
    return why === null;
  });
  /** A contest with processes of its own: first steps find nothing compiled. */
  const contest = async <T>(entries: readonly Entry[], work: (contest: Contest) => Promise<T>): Promise<T> => {
    const opened = await openContest(entries, adapter, fail);
    for (const client of opened.clients) about.set(client.entry.name, client.about);
    try {
      return await work(opened);
    } finally {
      await opened.close();
    }
  };
  const wanted = (section: Options['sections'][number]): boolean => options.sections.includes(section);

  let matmul: readonly MatmulResult[] = [];
  if (wanted('matmul')) {
    matmul = await contest(taking, (c) => matmuls(c, rounds, limit, log));
    log(`\n${matmulTable(matmul)}\n`);
  }
  const step: StepResult[] = [];
  if (wanted('step')) {
    for (const model of options.models) step.push(...(await contest(taking, (c) => steps(c, model, rounds, limit, adapter, log))));
    log(`\n${stepTable(step)}\n`);
  }
  const dropbp: DropResult[] = [];
  if (wanted('dropbp')) {
    const dropping_ = taking.filter((e) => e.drops);
    for (const model of options.models)
      for (const lora of [0, RANK]) dropbp.push(...(await contest(dropping_, (c) => dropping(c, model, lora, patterns, limit, log))));
    log(`\n${dropTable(summarise(dropbp))}\n`);
  }
  return { matmul, step, dropbp, failed: [...failed], about };
}

function write(out: string, results: Results, options: Options): void {
  const folder = basename(out).replace(/\.md$/, '');
  mkdirSync(dirname(out), { recursive: true });
  const plots = drawPlots(results, join(dirname(out), folder));
  writeFileSync(out, page(results, describeMachine(), options, plots, folder));
  log(`wrote ${out}`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') return log(USAGE);
  ensurePeers();
  ensureData();
  const results = await measure(options);
  if (options.out !== null) write(options.out, results, options);
  if (results.failed.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
